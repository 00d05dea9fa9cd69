//! Scopegate as it is deployed: audit, masking, metrics and sessions on, the store embedded.

use crate::contender::{Contender, free_port};
use crate::crm;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const BINARY: &str = env!("CARGO_BIN_EXE_scopegate");

/// How much it holds.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) operations: usize,
    pub(crate) accounts: usize,
}

pub(crate) struct Gateway {
    contender: Contender,
    folder: PathBuf,
    port: u16,
    admin: u16,
}

/// What a restart showed.
pub(crate) struct Restart {
    /// MiB before it.
    pub(crate) before: u64,
    /// From the start of the process until it listened.
    pub(crate) listens: Duration,
    /// Until it was ready, with all accounts.
    pub(crate) ready: Duration,
    /// MiB behind it.
    pub(crate) resident: u64,
}

/// What the account of that number is called.
pub(crate) fn identifier(number: usize) -> String {
    format!("user_{number}_researcher")
}

/// Whose it is: ten accounts to a customer.
pub(crate) fn customer(number: usize) -> String {
    format!("customer-{}", number / 10)
}

impl Gateway {
    pub(crate) fn start(folder: &Path, size: Size, upstream: &Contender) -> Self {
        fs::create_dir_all(folder).unwrap();
        let (port, admin) = (free_port(), free_port());
        fs::write(folder.join("crm.yaml"), crm::document(size.operations, &format!("http://127.0.0.1:{}", upstream.port()))).unwrap();
        let settings = format!(
            "gateway: {{listen: [\"127.0.0.1:{port}\"], threads: 1}}\nadmin: {{listen: \"127.0.0.1:{admin}\", token: bench}}\npolicies: [./crm.yaml]\n\
             store: {{embedded: ./data}}\nencryption: {{key_file: ./kek}}\nlimits: {{requests_per_account: none}}\n\
             egress: {{allow_networks: [127.0.0.0/8], allow_http: true}}\n"
        );
        fs::write(folder.join("scopegate.yaml"), settings).unwrap();
        said(command(folder).args(["keys", "generate"]).arg(folder.join("kek")));
        let gateway = Self { contender: serve(folder, port), folder: folder.to_owned(), port, admin };
        let accounts = folder.join("accounts.jsonl");
        write_accounts(&accounts, size.accounts);
        let began = Instant::now();
        said(command(folder).args(["account", "import"]).arg(&accounts));
        eprintln!("{} accounts imported in {:.1} s", size.accounts, began.elapsed().as_secs_f64());
        fs::remove_file(accounts).unwrap();
        gateway
    }

    pub(crate) fn contender(&self) -> &Contender {
        &self.contender
    }

    /// The same after a restart.
    pub(crate) fn restarted(self) -> (Self, Restart) {
        let Self { contender, folder, port, admin } = self;
        let before = contender.resident() / 1024;
        drop(contender);
        let began = Instant::now();
        let contender = serve(&folder, port);
        let listens = began.elapsed();
        until_ready(admin);
        let restart = Restart { before, listens, ready: began.elapsed(), resident: contender.resident() / 1024 };
        (Self { contender, folder, port, admin }, restart)
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).env_remove("SCOPEGATE_CONFIG").env("SCOPEGATE_LOG", "warn");
    command
}

fn serve(folder: &Path, port: u16) -> Contender {
    Contender::start("Scopegate", port, command(folder).arg("serve"))
}

fn until_ready(admin: u16) {
    let ready = || {
        let mut stream = TcpStream::connect(("127.0.0.1", admin)).ok()?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    while ready().is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn said(command: &mut Command) {
    let output = command.output().unwrap();
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {text}");
}

/// Ten to a customer, each with a token that lives for long.
fn write_accounts(path: &Path, many: usize) {
    let mut to = BufWriter::new(File::create(path).unwrap());
    let scope: Vec<String> = (0..crm::RESOURCES).map(|number| format!("p{number}.read")).collect();
    for number in 0..many {
        let line = serde_json::json!({
            "connector": "crm", "identifier": identifier(number), "customer": customer(number), "role": "researcher",
            "credentials": {"access_token": format!("token-{number:032}"), "refresh_token": format!("refresh-{number:032}"), "expires_in": 2_592_000, "scope": scope.join(" ")},
        });
        writeln!(to, "{line}").unwrap();
    }
    to.flush().unwrap();
}
