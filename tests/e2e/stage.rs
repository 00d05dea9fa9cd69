//! A running gateway between a practice provider and a practice API, in a folder of its own.

use crate::deadline::Deadline;
use reqwest::Method;
use scopegate::clock::Clock;
use scopegate::practice::{Label, Practice, Registration};
use scopegate::tasks::Tasks;
use scopegate_core::secret::ClientSecret;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::watch;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_scopegate");
/// What a gateway that takes cues says when it has heard one.
pub(crate) const ARMED: &str = "armed";
pub(crate) const ADMIN_TOKEN: &str = "e2e-admin-token-5d1c7a";
pub(crate) const CLIENT_SECRET: &str = "e2e-client-secret-93b0fe";

/// How long the gateway may take to say where it listens. A debug build on a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the practice CRM's operations need, and three roles.
pub(crate) const POLICY: &str = r#"version: 1
connectors:
  crm:
    title: Practice CRM
    upstream: http://127.0.0.1:1
    oauth:
      authorization_url: http://127.0.0.1:1/authorize
      token_url: http://127.0.0.1:1/token
      revocation_url: http://127.0.0.1:1/revoke
      pkce: S256
      client_auth: client_secret_post
    scopes:
      accounts:read: {provider_scopes: [api], consent: Read accounts}
      opportunities:read: {provider_scopes: [api], consent: Read opportunities}
      opportunities:write: {provider_scopes: [api, write], consent: Change opportunities, implies: [opportunities:read], risk: high}
      activities:create: {provider_scopes: [api], consent: Log activities}
    operations:
      - {id: account.list, match: GET /v1/accounts, require: accounts:read}
      - {id: account.get, match: "GET /v1/accounts/{id}", require: accounts:read}
      - {id: opportunity.get, match: "GET /v1/opportunities/{id}", require: opportunities:read}
      - {id: opportunity.update, match: "PATCH /v1/opportunities/{id}", require: opportunities:write}
      - {id: activity.create, match: "POST /v1/activities/{id}", require: activities:create}
      - {id: file.get, match: "GET /v1/files/{+path}", require: accounts:read}
      - {id: file.put, match: "PUT /v1/files/{+path}", require: opportunities:write}
      - {id: ping, match: GET /v1/ping, require: none}
roles:
  researcher: {allow: {crm: [accounts:read, opportunities:read]}}
  publisher: {allow: {crm: [opportunities:read, opportunities:write, activities:create]}}
  responder: {allow: {crm: [activities:create]}}
"#;

/// What differs from the usual stage.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Lines of `scopegate.yaml` besides the usual ones.
    pub(crate) settings: String,
    /// What the gateway listens at, as a YAML list.
    pub(crate) listen: String,
    /// Keys of `egress` besides the usual ones, each `, key: value`.
    pub(crate) egress: String,
    /// What its `gateway` says besides the usual, each `, key: value`.
    pub(crate) gateway: &'static str,
    /// What its `admin` says besides the usual, each `, key: value`.
    pub(crate) admin: String,
    /// Connectors that have a registration besides the usual ones.
    pub(crate) clients: &'static [&'static str],
    /// Keys of `connectors.crm` besides the usual ones; `upstream` among them replaces the practice API.
    pub(crate) upstream: Option<String>,
    /// The policy document.
    pub(crate) policy: String,
    /// `SCOPEGATE_LOG`.
    pub(crate) log: &'static str,
    /// What else its environment says.
    pub(crate) environment: Vec<(&'static str, String)>,
    /// What is run as the gateway.
    pub(crate) program: Program,
}

/// What is run as the gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    /// The built binary.
    Scopegate,
    /// The built binary with these arguments besides the usual ones.
    With(&'static [&'static str]),
    /// The built binary as somebody to whom closed folders are closed, which they are not to root.
    Unprivileged,
    /// A test of this binary that does the same with a twist.
    Test(&'static str),
}

impl Default for Script {
    fn default() -> Self {
        Self {
            settings: "limits: {requests_per_account: none}\n".into(),
            listen: "[\"127.0.0.1:0\"]".into(),
            egress: String::new(),
            gateway: "",
            admin: String::new(),
            clients: &[],
            upstream: None,
            policy: POLICY.into(),
            log: "info",
            environment: Vec::new(),
            program: Program::Scopegate,
        }
    }
}

/// Everything that runs for one test. Dropping it ends all of it.
pub(crate) struct Stage {
    pub(crate) practice: Practice,
    pub(crate) clock: Clock,
    /// Where the gateway listens first.
    pub(crate) gateway: SocketAddr,
    /// Where it listens, in the order of the settings.
    pub(crate) gateways: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    pub(crate) folder: TempDir,
    pub(crate) http: reqwest::Client,
    script: Script,
    served: Served,
    tasks: Tasks,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Script::default()).await
    }

    pub(crate) async fn with(script: Script) -> Self {
        // Another test of this process may have been first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let (clock, tasks) = (Clock::system(), Tasks::new(Handle::current()));
        let registration = Registration { client_id: "e2e".into(), client_secret: ClientSecret::new(CLIENT_SECRET.into()) };
        let practice = Practice::start(&clock, &tasks, registration).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &practice, &script);
        let served = Served::start(folder.path(), script.program, script.log, &script.environment).await;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self {
            practice,
            clock,
            gateway: served.gateways[0],
            gateways: served.gateways.clone(),
            admin: served.admin,
            folder,
            http,
            script,
            served,
            tasks,
        }
    }

    /// Everything that the gateway has said on stderr.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&self.served.log.lock().unwrap()).into_owned()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An account whose credential the provider knows under `customer/identifier`.
    pub(crate) async fn account(&self, customer: &str, identifier: &str, role: &str) -> Label {
        self.account_at("crm", customer, identifier, role, "api write").await
    }

    pub(crate) async fn account_at(&self, connector: &str, customer: &str, identifier: &str, role: &str, scope: &str) -> Label {
        let label = label(customer, identifier);
        let path = account_path(connector, identifier);
        self.must(Method::PUT, &path, json!({"customer": customer, "role": role})).await;
        let credentials = self.practice.provider().seed(&label, scope).credentials();
        self.must(Method::PUT, &format!("{path}/credentials"), credentials).await;
        label
    }

    /// A verb that asks the running gateway.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Output {
        let url = format!("http://{}", self.admin);
        tokio::task::block_in_place(|| run(self.folder.path(), &[arguments, &["--admin-url", &url]].concat()))
    }

    /// A call of the admin API: status and JSON.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.http.request(method, format!("http://{}{path}", self.admin)).bearer_auth(ADMIN_TOKEN);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    /// A call of the admin API that has to work.
    pub(crate) async fn must(&self, method: Method, path: &str, body: Value) -> Value {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}\n{}", self.log());
        answer
    }

    /// A handle of this account.
    pub(crate) async fn handle(&self, connector: &str, identifier: &str) -> String {
        let made = self.must(Method::POST, &format!("{}/handles", account_path(connector, identifier)), json!({})).await;
        made["handle"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn status(&self, identifier: &str) -> String {
        let account = self.must(Method::GET, &account_path("crm", identifier), Value::Null).await;
        account["status"].as_str().unwrap().to_owned()
    }

    /// A call through the gateway.
    pub(crate) async fn call(&self, method: Method, target: &str, account: &str) -> Reply {
        self.send(self.request(method, target, account)).await
    }

    pub(crate) fn request(&self, method: Method, target: &str, account: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("http://{}{target}", self.gateway)).header("Scopegate-Account", account)
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let answer = request.send().await.unwrap();
        let text = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let (status, decision, request_id) = (answer.status().as_u16(), text("scopegate-decision"), text("scopegate-request-id"));
        let text = answer.text().await.unwrap();
        Reply { status, decision, request_id, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    /// Tells the gateway to read again what SIGHUP makes it read.
    pub(crate) fn hang_up(&self) {
        self.served.signal("HUP");
    }

    /// Waits until the gateway has said `words` more often than `before`.
    pub(crate) async fn until_said(&self, words: &str, before: usize) {
        while self.log().matches(words).count() <= before {
            tokio::task::yield_now().await;
        }
    }

    /// How much memory the gateway takes, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.served.child.id())).unwrap();
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
        kib.trim().parse::<u64>().unwrap() * 1024
    }

    /// Tells the gateway to end, and does not wait for it.
    pub(crate) fn tell_to_stop(&self) {
        self.served.signal("TERM");
    }

    /// The gateway's process.
    pub(crate) fn pid(&self) -> u32 {
        self.served.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        self.served.signal(name);
    }

    /// Ends the gateway, by SIGTERM.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended()
    }

    /// Tells the gateway to end.
    pub(crate) fn terminate(&self) {
        self.served.signal("TERM");
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        tokio::task::block_in_place(|| self.served.child.wait().unwrap())
    }

    /// Asks until the gateway says that it is not ready any more.
    pub(crate) async fn until_unready(&self) {
        while self.ask(Method::GET, "/readyz", Value::Null).await.0 == 200 {}
    }

    /// Ends the gateway without a word, and starts it again on the same folder.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill();
        self.restart().await;
    }

    /// Ends the gateway without a word.
    pub(crate) fn kill(&mut self) {
        self.served.child.kill().unwrap();
        self.served.child.wait().unwrap();
    }

    /// Says something to the gateway, and waits until it has heard.
    pub(crate) async fn cue(&self, line: &str) {
        let mut armed = self.served.armed.clone();
        let before = *armed.borrow();
        writeln!(self.served.stdin.lock().unwrap(), "{line}").unwrap();
        armed.wait_for(|heard| *heard > before).await.unwrap();
    }

    /// Waits until the gateway has ended by itself.
    pub(crate) fn gone(&self) -> impl Future<Output = ()> + use<> {
        let mut gone = self.served.gone.clone();
        // Its log ends with it, whoever kept that.
        async move { drop(gone.wait_for(|gone| *gone).await) }
    }

    /// Starts the gateway again on the same folder, with these arguments besides the usual ones.
    pub(crate) async fn start(&mut self, arguments: &'static [&'static str]) {
        self.begin(Program::With(arguments)).await;
    }

    /// Starts the gateway again on the same folder.
    pub(crate) async fn restart(&mut self) {
        self.begin(self.script.program).await;
    }

    /// Starts the gateway again on the same folder, as this program.
    pub(crate) async fn begin(&mut self, program: Program) {
        self.served = Served::start(self.folder.path(), program, self.script.log, &self.script.environment).await;
        self.gateways.clone_from(&self.served.gateways);
        (self.gateway, self.admin) = (self.gateways[0], self.served.admin);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.tasks.token().cancel();
    }
}

/// What came back through the gateway.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) decision: String,
    pub(crate) request_id: String,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

pub(crate) fn label(customer: &str, identifier: &str) -> Label {
    Label::new(customer.parse().unwrap(), identifier.parse().unwrap())
}

pub(crate) fn account_path(connector: &str, identifier: &str) -> String {
    format!("/v1/connectors/{connector}/accounts/{identifier}")
}

/// Runs `serve` where it has to refuse to start; should it serve instead, it is ended after a minute with another status.
pub(crate) fn refused(folder: &Path) -> Output {
    let mut command = Command::new("timeout");
    command.args(["60", BINARY, "serve"]).current_dir(folder).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN);
    tokio::task::block_in_place(|| command.output().unwrap())
}

/// Runs the binary in this folder to its end.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).current_dir(folder).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN).output().unwrap()
}

fn write(folder: &Path, practice: &Practice, script: &Script) {
    std::fs::create_dir(folder.join("policies")).unwrap();
    std::fs::write(folder.join("policies/crm.yaml"), &script.policy).unwrap();
    let (provider, api) = (practice.provider_origin(), practice.api_origin());
    let upstream = script.upstream.as_deref().unwrap_or(&api);
    let mut settings = format!("gateway: {{listen: {}{}}}\n", script.listen, script.gateway);
    settings.push_str(&format!("admin: {{listen: \"127.0.0.1:0\", token: \"${{SCOPEGATE_ADMIN_TOKEN}}\"{}}}\n", script.admin));
    settings.push_str(
        "policies: [./policies]\n\
         store: {embedded: ./data}\n\
         encryption: {key_file: ./kek-1}\n\
         audit: {file: ./data/audit.jsonl}\n",
    );
    settings.push_str(&format!("egress: {{allow_networks: [\"127.0.0.0/8\"], allow_http: true{}}}\nclients:\n", script.egress));
    let connectors = ["crm", "salesforce", "slack", "google-gmail", "github", "pagerduty"];
    for connector in connectors.iter().chain(script.clients) {
        settings.push_str(&format!("  {connector}: {{client_id: e2e, client_secret: {CLIENT_SECRET}}}\n"));
    }
    settings.push_str("connectors:\n");
    for connector in connectors {
        let dialect = if connector == "crm" { String::new() } else { format!("/{connector}") };
        settings.push_str(&format!(
            "  {connector}: {{upstream: \"{upstream}\", authorization_url: \"{provider}{dialect}/authorize\", \
             token_url: \"{provider}{dialect}/token\", revocation_url: \"{provider}{dialect}/revoke\"}}\n"
        ));
    }
    settings.push_str(&script.settings);
    std::fs::write(folder.join("scopegate.yaml"), settings).unwrap();
    let made = run(folder, &["keys", "generate", "kek-1"]);
    assert!(made.status.success(), "{made:?}");
}

/// `scopegate serve` as a child.
pub(crate) struct Served {
    child: Child,
    pub(crate) gateways: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
    stdin: Mutex<ChildStdin>,
    armed: watch::Receiver<u64>,
    gone: watch::Receiver<bool>,
    _deadline: Deadline,
}

impl Served {
    /// Waits until the gateway has said where it listens.
    pub(crate) async fn start(folder: &Path, program: Program, log: &str, environment: &[(&str, String)]) -> Self {
        let mut command = match program {
            Program::Unprivileged if rustix::process::geteuid().is_root() => {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search", BINARY]);
                command
            }
            Program::Scopegate | Program::With(_) | Program::Unprivileged => Command::new(BINARY),
            Program::Test(_) => Command::new(std::env::current_exe().unwrap()),
        };
        match program {
            Program::Scopegate | Program::Unprivileged => command.args(["serve", "-c", "scopegate.yaml"]),
            Program::With(more) => command.args(["serve", "-c", "scopegate.yaml"]).args(more),
            Program::Test(name) => command.args(["--exact", name, "--ignored", "--nocapture"]),
        };
        command.current_dir(folder).env("SCOPEGATE_ADMIN_TOKEN", ADMIN_TOKEN).env("SCOPEGATE_LOG", log);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (stderr, stdin) = (child.stderr.take().unwrap(), child.stdin.take().unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let deadline = Deadline::of_this_test(&log);
        let ((listening, heard), (arming, armed), (going, gone)) = (mpsc::channel(), watch::channel(0), watch::channel(false));
        let kept = Arc::clone(&log);
        let ears = Ears { listening, arming, going };
        scopegate::tasks::thread("stderr", move || ears.listen(stderr, &kept)).unwrap();
        let heard = tokio::task::block_in_place(|| heard.recv_timeout(PATIENCE));
        let Ok((gateways, admin)) = heard else {
            // It may have ended already, which is as good.
            let _ = child.kill();
            panic!("serve did not start: {}", String::from_utf8_lossy(&log.lock().unwrap()));
        };
        Self { child, gateways, admin, log, stdin: Mutex::new(stdin), armed, gone, _deadline: deadline }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever waits for something that the gateway says.
struct Ears {
    listening: mpsc::Sender<(Vec<SocketAddr>, SocketAddr)>,
    arming: watch::Sender<u64>,
    going: watch::Sender<bool>,
}

impl Ears {
    /// Keeps what is said, and passes on what somebody waits for, who may have given up.
    fn listen(self, stderr: impl Read, kept: &Mutex<Vec<u8>>) {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line);
            if let Some((_, places)) = text.split_once("gateway at ")
                && let Some((gateways, admin)) = places.trim_end().split_once(", admin at ")
            {
                let admin = admin.split_once("://").unwrap().1;
                let gateways = gateways.split(", ").map(|url| url.split_once("://").unwrap().1.parse().unwrap()).collect();
                let _ = self.listening.send((gateways, admin.parse().unwrap()));
            }
            if text.trim_end() == ARMED {
                self.arming.send_modify(|heard| *heard += 1);
            }
            kept.lock().unwrap().append(&mut line);
        }
        self.going.send_replace(true);
    }
}
