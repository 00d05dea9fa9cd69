//! `security`: which schemes carry scopes, and what an operation needs by them.

use super::operation::Operation;
use super::{Asked, Form, Reading};
use crate::import::MOST_ALTERNATIVES;
use crate::import::draft::OAuth;
use crate::import::fault::Fault;
use crate::import::notes::Notes;
use crate::import::tree::Item;
use crate::import::{Array, Kind};
use crate::policy::document::suggestion;
use crate::scope::ProviderScope;
use std::collections::{BTreeMap, BTreeSet};

/// The longest scope.
const LONGEST_SCOPE: usize = 512;

/// The security schemes of a description.
pub(super) struct Security {
    schemes: BTreeMap<String, Scheme>,
    /// Schemes that are no OAuth 2, and carry scopes all the same.
    named: BTreeSet<String>,
    kind: Option<Kind>,
}

/// One scheme.
#[derive(Debug, Default)]
struct Scheme {
    oauth: bool,
    flows: Vec<Flow>,
    /// Where an API key stands.
    key: Option<(String, String)>,
}

/// One way to a token.
#[derive(Clone, Debug)]
struct Flow {
    kind: Kind,
    urls: OAuth,
}

/// What is listed, before it is decided what that means.
#[derive(Clone, Debug, Default)]
pub(super) struct Alternatives {
    /// Sets that are enough, perhaps empty ones.
    sets: BTreeSet<BTreeSet<String>>,
    /// Whether something with scopes could not be read as scopes.
    illegal: bool,
    /// The first list whose meaning is open.
    pub(super) open_list: Option<Vec<String>>,
}

/// What is read of the need of one operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    pub(super) alternatives: Alternatives,
    /// Schemes that list scopes and carry none.
    pub(super) others: BTreeSet<String>,
}

/// Names of schemes that operations use.
type Used = BTreeSet<String>;

impl Security {
    pub(super) fn read(reading: &mut Reading<'_, '_>) -> Result<Self, Fault> {
        let declared = match reading.form {
            Form::Three => reading.root.get("components").and_then(|components| components.get("securitySchemes")),
            Form::Two => reading.root.get("securityDefinitions"),
        };
        let mut schemes = BTreeMap::new();
        for (name, item) in declared.into_iter().flat_map(Item::entries) {
            let item = reading.references.follow(item)?;
            schemes.insert(name.to_owned(), Scheme::read(item, reading.form));
        }
        let security = Self { schemes, named: reading.wishes.schemes.iter().cloned().collect(), kind: reading.wishes.kind };
        security.check_named(reading)?;
        Ok(security)
    }

    /// A scheme that was asked for is one that the description knows, or uses.
    fn check_named(&self, reading: &Reading<'_, '_>) -> Result<(), Fault> {
        let used = used(reading.root);
        let known = || self.schemes.keys().chain(&used).map(String::as_str);
        match self.named.iter().find(|name| known().all(|one| one != name.as_str())) {
            Some(name) => {
                let near = suggestion(name, known().collect::<BTreeSet<_>>()).map(|near| format!(": {near}")).unwrap_or_default();
                Err(Fault::unsaid(format!("the description has no security scheme `{name}`, as `--scheme` says{near}")))
            }
            None => Ok(()),
        }
    }

    fn carries(&self, name: &str) -> bool {
        let of_kind = |scheme: &Scheme| self.kind.is_none_or(|kind| scheme.flows.is_empty() || scheme.flows.iter().any(|flow| flow.kind == kind));
        self.named.contains(name) || self.schemes.get(name).is_some_and(|scheme| scheme.oauth && of_kind(scheme))
    }

    /// Whether a scheme puts its key into this header.
    pub(super) fn has_header(&self, name: &str) -> bool {
        self.keys("header").any(|key| key.eq_ignore_ascii_case(name))
    }

    /// Whether a scheme puts its key into this parameter of the query.
    pub(super) fn has_query(&self, name: &str) -> bool {
        self.keys("query").any(|key| key == name)
    }

    fn keys(&self, place: &str) -> impl Iterator<Item = &String> {
        self.schemes.values().filter_map(move |scheme| scheme.key.as_ref().filter(|(found, _)| found == place).map(|(_, name)| name))
    }

    /// What `security` lists. None where it has no form that is known, or stands nowhere.
    pub(super) fn listed(&self, security: Option<Item<'_>>, array: Option<Array>) -> Option<Listed> {
        let mut listed = Listed::default();
        let mut each = Vec::new();
        let mut any = false;
        for item in security?.items()? {
            any = true;
            if !item.is_map() {
                return None;
            }
            each.extend(self.alternative(item, array, &mut listed.others)?);
        }
        listed.alternatives = if any { Alternatives::one_of(each) } else { Alternatives::nothing() };
        Some(listed)
    }

    /// The scopes of one alternative, all of whose schemes are needed. Nothing at all where no scheme of it carries scopes.
    #[expect(clippy::option_option, reason = "a form that is not known, and an alternative that says nothing, are two things")]
    fn alternative(&self, item: Item<'_>, array: Option<Array>, others: &mut BTreeSet<String>) -> Option<Option<Alternatives>> {
        let mut carriers = Vec::new();
        let mut empty = true;
        for (name, value) in item.entries() {
            empty = false;
            let scopes: Vec<&str> = if value.is_null() { Vec::new() } else { value.items()?.map(Item::text).collect::<Option<_>>()? };
            if self.carries(name) {
                carriers.push(Alternatives::of_list(scopes.into_iter(), array));
            } else if !scopes.is_empty() {
                others.insert(name.to_owned());
            }
        }
        Some(if empty || !carriers.is_empty() { Some(carriers.into_iter().fold(Alternatives::nothing(), Alternatives::and)) } else { None })
    }

    /// Where only schemes that are no OAuth 2 list scopes, somebody has to say that these are scopes of tokens.
    pub(super) fn refuse_what_only_others_list(&self, operations: &[Operation]) -> Result<(), Fault> {
        if operations.iter().any(|operation| operation.lists) {
            return Ok(());
        }
        match operations.iter().flat_map(|operation| &operation.others).min() {
            Some(name) => Err(Fault::whole(format!(
                "only the security scheme `{name}` lists scopes, and it is no OAuth 2 scheme of the kind that is read: say `--scheme {name}` if these are scopes of its tokens"
            ))),
            None => Ok(()),
        }
    }

    /// The endpoints of the first scheme that has them, those of the kind that was asked for first. A path is one of `origin`.
    pub(super) fn oauth(&self, origin: &str, notes: &mut Notes) -> Option<OAuth> {
        let flows: Vec<&Flow> = self.schemes.iter().filter(|(name, _)| self.carries(name)).flat_map(|(_, scheme)| &scheme.flows).collect();
        let wanted = self.kind.unwrap_or(Kind::Delegated);
        let usable = flows.iter().rev().filter(|flow| !flow.urls.token_url.is_empty());
        let best = usable.max_by_key(|flow| (flow.kind == wanted, flow.urls.authorization_url.is_some()));
        if best.is_none() && !flows.is_empty() {
            notes.whole("no OAuth endpoint that can be used stands in the description: say `oauth` in the document");
        }
        let whole = |url: &String| if url.starts_with('/') { format!("{origin}{url}") } else { url.clone() };
        best.map(|flow| OAuth {
            authorization_url: flow.urls.authorization_url.as_ref().map(whole),
            token_url: whole(&flow.urls.token_url),
            refresh_url: flow.urls.refresh_url.as_ref().map(whole),
        })
    }
}

/// Names of schemes that stand in any `security` of the description.
fn used(root: Item<'_>) -> Used {
    let of = |item: Item<'_>| {
        item.get("security").and_then(Item::items).into_iter().flatten().flat_map(Item::entries).map(|(name, _)| name.to_owned()).collect::<Used>()
    };
    let operations =
        root.get("paths").into_iter().flat_map(Item::entries).flat_map(|(_, path)| path.entries()).flat_map(|(_, operation)| of(operation));
    of(root).into_iter().chain(operations).collect()
}

impl Scheme {
    fn read(item: Item<'_>, form: Form) -> Self {
        let says = |key| item.get(key).and_then(Item::text);
        let key = says("in").zip(says("name")).map(|(place, name)| (place.to_owned(), name.to_owned()));
        let oauth = says("type") == Some("oauth2");
        let flows = match form {
            Form::Three => item
                .get("flows")
                .into_iter()
                .flat_map(Item::entries)
                .filter(|(_, flow)| flow.is_map())
                .map(|(name, flow)| Flow::read(name, flow))
                .collect(),
            Form::Two => says("flow").map(|name| Flow::read(name, item)).into_iter().collect(),
        };
        Self { oauth, flows, key: key.filter(|_| says("type") == Some("apiKey")) }
    }
}

impl Flow {
    fn read(name: &str, item: Item<'_>) -> Self {
        let url = |key| item.get(key).and_then(Item::text).filter(|text| is_endpoint(text)).map(str::to_owned);
        let kind = if matches!(name, "clientCredentials" | "application") { Kind::Application } else { Kind::Delegated };
        let token_url = url("tokenUrl").unwrap_or_default();
        let refresh_url = url("refreshUrl").filter(|url| *url != token_url);
        Self { kind, urls: OAuth { authorization_url: url("authorizationUrl"), token_url, refresh_url } }
    }
}

/// A whole URL, or the path of one, that nobody could read in two ways.
fn is_endpoint(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['\\', '"', '<', '>', '{', '}', '#', '@']);
    let whole = if text.starts_with('/') && !text.starts_with("//") { format!("https://host.example{text}") } else { text.to_owned() };
    let parsed = url::Url::parse(&whole).is_ok_and(|url| url.host().is_some() && !url.path().contains("/../"));
    plain && parsed && (whole.starts_with("https://") || whole.starts_with("http://"))
}

impl Alternatives {
    /// Nothing is needed.
    pub(super) fn nothing() -> Self {
        Self { sets: [BTreeSet::new()].into(), ..Self::default() }
    }

    /// The scopes of one list. One text may hold several, all of which are needed then (RFC 6749 section 3.3).
    pub(super) fn of_list<'s>(texts: impl Iterator<Item = &'s str>, array: Option<Array>) -> Self {
        let mut made = Self::default();
        let mut each: Vec<BTreeSet<String>> = Vec::new();
        for text in texts {
            let legal = |scope: &str| scope.len() <= LONGEST_SCOPE && scope.parse::<ProviderScope>().is_ok();
            if text.trim().is_empty() || !text.split_whitespace().all(legal) {
                made.illegal = true;
                continue;
            }
            // Slack lists a scope `none` where none is needed.
            let scopes = text.split_whitespace().filter(|scope| *scope != "none").map(str::to_owned).collect();
            if !each.contains(&scopes) {
                each.push(scopes);
            }
        }
        if array.is_none() && each.len() > 1 {
            made.open_list = Some(each.iter().flatten().cloned().collect());
        }
        match array {
            Some(Array::Any) if !each.is_empty() => made.sets = each.into_iter().collect(),
            Some(Array::Any | Array::All) | None if made.illegal => {}
            Some(Array::Any | Array::All) | None => made.sets = [each.into_iter().flatten().collect()].into(),
        }
        made
    }

    /// Any of these is enough.
    pub(super) fn one_of(each: Vec<Self>) -> Self {
        each.into_iter().fold(Self::default(), |all, one| Self {
            sets: all.sets.into_iter().chain(one.sets).collect(),
            illegal: all.illegal || one.illegal,
            open_list: all.open_list.or(one.open_list),
        })
    }

    fn and(self, other: Self) -> Self {
        let sets = self.sets.iter().flat_map(|left| other.sets.iter().map(move |right| left.union(right).cloned().collect()));
        // So many that they are refused are not all written down.
        let sets = sets.take(MOST_ALTERNATIVES * 2).collect();
        Self { sets, illegal: self.illegal || other.illegal, open_list: self.open_list.or(other.open_list) }
    }

    /// Whether scopes are listed.
    pub(super) fn lists(&self) -> bool {
        self.illegal || self.sets.iter().any(|set| !set.is_empty())
    }

    /// Whether something that is listed is no scope.
    pub(super) fn is_illegal(&self) -> bool {
        self.illegal
    }

    /// What it comes to: where some sets hold scopes, those count; else nothing is needed, where that is said at all.
    pub(super) fn asked(self, at: usize, name: &str) -> Result<Asked, Fault> {
        let (free, sets): (BTreeSet<_>, BTreeSet<_>) = self.sets.into_iter().partition(BTreeSet::is_empty);
        if sets.len() > MOST_ALTERNATIVES {
            return Err(Fault::at(at, format!("`{name}` has more than {MOST_ALTERNATIVES} alternatives")));
        }
        Ok(match (sets.is_empty(), free.is_empty()) {
            (false, _) => Asked::Any(least(sets)),
            (true, false) if !self.illegal => Asked::Nothing,
            (true, _) => Asked::Unknown,
        })
    }
}

/// Without sets that hold another: who has the smaller one has enough.
pub(in crate::import) fn least(sets: BTreeSet<BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let holds_another = |set: &BTreeSet<String>| sets.iter().any(|other| other.len() < set.len() && other.is_subset(set));
    sets.iter().filter(|set| !holds_another(set)).cloned().collect()
}
