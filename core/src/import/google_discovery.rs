//! Google's Discovery format, said in the words of OpenAPI 3 and read as such.
//!
//! A method lists its scopes, of which any one is enough; one that lists none needs no token. `flatPath` names each segment
//! where `path` has parameters that span several. Media goes to paths of its own, with the same need.

use super::fault::Fault;
use super::tree::Item;
use serde_json::{Map, Value, json};

/// Where customers of Google's own APIs consent; the format does not say it.
const GOOGLE: (&str, &str) = ("https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token");

/// The same as an OpenAPI description.
pub(super) fn in_openapi(root: Item<'_>) -> Result<String, Fault> {
    let says = |key| root.get(key).and_then(Item::text);
    if says("kind") != Some("discovery#restDescription") {
        return Err(Fault::whole("this is no Google Discovery description: `kind: discovery#restDescription` does not stand at its top"));
    }
    let origin = says("rootUrl").or_else(|| says("baseUrl")).unwrap_or_default().trim_end_matches('/');
    let mut paths = Paths { origin, made: Map::new() };
    paths.resource(root);
    let servers = if origin.is_empty() { json!([]) } else { json!([{"url": format!("{origin}/{}", says("servicePath").unwrap_or_default())}]) };
    let (authorization_url, token_url) = if is_of_google(origin) { (Some(GOOGLE.0), Some(GOOGLE.1)) } else { (None, None) };
    let flow = json!({"authorizationUrl": authorization_url, "tokenUrl": token_url, "scopes": {}});
    let description = json!({
        "openapi": "3.0.0",
        "info": {"title": says("title"), "version": says("version")},
        "servers": servers,
        "components": {"securitySchemes": {"oauth": {"type": "oauth2", "flows": {"authorizationCode": flow}}}},
        "paths": paths.made,
    });
    Ok(description.to_string())
}

fn is_of_google(origin: &str) -> bool {
    origin.strip_prefix("https://").is_some_and(|host| host == "googleapis.com" || host.ends_with(".googleapis.com"))
}

struct Paths<'t> {
    origin: &'t str,
    made: Map<String, Value>,
}

impl<'t> Paths<'t> {
    /// The methods of a resource, and of the resources in it.
    fn resource(&mut self, resource: Item<'t>) {
        for (_, method) in resource.get("methods").into_iter().flat_map(Item::entries) {
            self.method(method);
        }
        for (_, inner) in resource.get("resources").into_iter().flat_map(Item::entries) {
            self.resource(inner);
        }
    }

    fn method(&mut self, method: Item<'t>) {
        let says = |key| method.get(key).and_then(Item::text);
        let Some(verb) = says("httpMethod").map(str::to_lowercase) else { return };
        let id = says("id").unwrap_or_default();
        if let Some(path) = says("flatPath").or_else(|| says("path")) {
            self.add(&format!("/{}", path.trim_start_matches('/')), &verb, id, operation(method, id));
        }
        for (protocol, facts) in method.get("mediaUpload").and_then(|upload| upload.get("protocols")).into_iter().flat_map(Item::entries) {
            let Some(path) = facts.get("path").and_then(Item::text) else { continue };
            let id = format!("{id}.{protocol}-upload");
            let mut upload = operation(method, &id);
            upload.insert("servers".to_owned(), json!([{"url": self.origin}]));
            self.add(path, &verb, &id, upload);
        }
    }

    /// Where another method has the same path already, both are meant, as OpenAPI says it with a fragment.
    fn add(&mut self, path: &str, verb: &str, id: &str, operation: Map<String, Value>) {
        let is_taken = self.made.get(path).is_some_and(|item| item.get(verb).is_some());
        let key = if is_taken { format!("{path}#{id}") } else { path.to_owned() };
        if let Some(item) = self.made.entry(key).or_insert_with(|| json!({})).as_object_mut() {
            item.insert(verb.to_owned(), Value::Object(operation));
        }
    }
}

fn operation(method: Item<'_>, id: &str) -> Map<String, Value> {
    let scopes = method.get("scopes").filter(|scopes| !scopes.is_null());
    let security: Option<Value> = match scopes {
        None => Some(json!([])),
        // What is no list of texts is not known.
        Some(scopes) => scopes.items().map(|scopes| scopes.map(|scope| json!({"oauth": [scope.text()]})).collect()),
    };
    let parameters = method.get("parameters").into_iter().flat_map(Item::entries);
    let parameters: Vec<Value> = parameters.map(|(name, facts)| json!({"name": name, "in": facts.get("location").and_then(Item::text)})).collect();
    let mut made = Map::new();
    if !id.is_empty() {
        made.insert("operationId".to_owned(), id.into());
    }
    made.insert("security".to_owned(), security.unwrap_or_else(|| json!("unknown")));
    made.insert("parameters".to_owned(), parameters.into());
    if method.get("request").is_some() {
        made.insert("requestBody".to_owned(), json!({}));
    }
    made
}

#[cfg(test)]
mod tests {
    use crate::import::{Refusal, Wishes, google_discovery};
    use serde_json::json;

    fn wishes() -> Wishes {
        Wishes { connector: "api".parse().unwrap(), upstream: None, array: None, schemes: Vec::new(), extension: None, kind: None }
    }

    #[test]
    fn methods_become_operations_that_need_any_of_their_scopes() {
        let description = json!({
            "kind": "discovery#restDescription", "title": "Farm API", "version": "v1", "description": "PROSE",
            "rootUrl": "https://www.googleapis.com/", "servicePath": "farm/v1/",
            "parameters": {"access_token": {"location": "query"}, "key": {"location": "query"}},
            "methods": {"ping": {"id": "farm.ping", "httpMethod": "GET", "path": "ping"}},
            "resources": {"animals": {
                "methods": {
                    "get": {"id": "farm.animals.get", "httpMethod": "GET", "path": "{+name}", "flatPath": "animals/{animalsId}", "scopes": ["https://www.googleapis.com/auth/farm", "https://www.googleapis.com/auth/farm.readonly"],
                        "parameters": {"name": {"location": "path"}, "code": {"location": "query"}}},
                    "list": {"id": "farm.animals.list", "httpMethod": "GET", "path": "animals/{+rest}", "scopes": ["https://mail.google.com/"]},
                    "again": {"id": "farm.animals.again", "httpMethod": "GET", "path": "animals/{id}", "scopes": ["https://www.googleapis.com/auth/farm"]},
                    "odd": {"id": "farm.animals.odd", "httpMethod": "PUT", "path": "animals", "scopes": "https://www.googleapis.com/auth/farm"},
                },
                "resources": {"photos": {"methods": {"insert": {
                    "id": "farm.animals.photos.insert", "httpMethod": "POST", "path": "animals/{id}/photos", "request": {"$ref": "Photo"}, "scopes": ["https://www.googleapis.com/auth/farm"],
                    "mediaUpload": {"protocols": {"simple": {"path": "/upload/farm/v1/animals/{id}/photos"}, "resumable": {"path": "/resumable/upload/farm/v1/animals/{id}/photos"}}},
                }}}},
            }},
        });
        let made = google_discovery(description.to_string().as_bytes(), &wishes()).unwrap();
        let lines: Vec<&str> = made.document.lines().map(str::trim).collect();
        let of = |id: &str| {
            let at = lines.iter().position(|line| *line == format!("- id: {id}")).unwrap_or_else(|| panic!("{id}: {}", made.document));
            let rest = lines[at + 1..].iter().take_while(|line| !line.starts_with("- id:"));
            rest.copied().collect::<Vec<_>>().join("; ")
        };
        assert!(
            lines.contains(&"upstream: https://www.googleapis.com") || lines.contains(&"upstream: https://www.googleapis.com/"),
            "{}",
            made.document
        );
        assert_eq!(of("farm.ping"), "match: GET /farm/v1/ping; require: none");
        assert_eq!(of("farm.animals.get"), "match: GET /farm/v1/animals/{animalsId}; require: {any: [farm, farm.readonly]}; allow_query: [code]");
        assert_eq!(of("farm.animals.again"), "match: GET /farm/v1/animals/{id}; require: farm");
        assert_eq!(of("farm.animals.list"), "match: GET /farm/v1/animals/{+rest}; require: mail.google.com");
        assert_eq!(of("farm.animals.odd"), "match: PUT /farm/v1/animals; require: unknown");
        assert_eq!(of("farm.animals.photos.insert"), "match: POST /farm/v1/animals/{id}/photos; require: farm");
        assert_eq!(of("farm.animals.photos.insert.simple-upload"), "match: POST /upload/farm/v1/animals/{id}/photos; require: farm");
        assert_eq!(of("farm.animals.photos.insert.resumable-upload"), "match: POST /resumable/upload/farm/v1/animals/{id}/photos; require: farm");
        assert!(made.document.contains("source: {kind: google-discovery, title: Farm API, version: v1, sha256: "), "{}", made.document);
        assert!(made.document.contains("token_url: https://oauth2.googleapis.com/token") && !made.document.contains("PROSE"), "{}", made.document);
        assert_eq!((made.operations, made.unknown, made.scopes), (8, 1, 3), "{}", made.document);
    }

    #[test]
    fn what_is_no_discovery_description_is_refused_and_without_a_root_the_upstream_is_asked_for() {
        for (text, sentence) in [
            ("openapi: 3.0.0\n", "no Google Discovery description"),
            ("{\"kind\": \"discovery#directoryList\"}", "no Google Discovery description"),
            ("{\"kind\": \"discovery#restDescription\", \"kind\": \"x\"}", "the key `kind` stands twice"),
        ] {
            let refusal = google_discovery(text.as_bytes(), &wishes()).unwrap_err();
            assert!(matches!(&refusal, Refusal::Refused { sentence: told, .. } if told.contains(sentence)), "{text}: {refusal}");
        }
        let rootless = json!({"kind": "discovery#restDescription", "methods": {"a": {"id": "a", "httpMethod": "GET", "path": "a"}}}).to_string();
        let refusal = google_discovery(rootless.as_bytes(), &wishes()).unwrap_err();
        assert!(matches!(&refusal, Refusal::Unsaid { sentence } if sentence.contains("--upstream")), "{refusal}");
        let given = Wishes { upstream: Some("https://api.example.com".into()), ..wishes() };
        let made = google_discovery(rootless.as_bytes(), &given).unwrap();
        assert!(made.document.contains("upstream: https://api.example.com") && !made.document.contains("oauth:"), "{}", made.document);
    }
}
