//! A real nginx with the file that `deploy/` ships, in front of a gateway.

use crate::certified::Authority;
use crate::deploys_as_shipped::shipped;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

/// Ends with the test.
pub(crate) struct Nginx {
    authority: Authority,
    folder: TempDir,
    child: Child,
}

/// Where Debian puts it, which is not on everybody's path.
const PROGRAM: &str = "/usr/sbin/nginx";

impl Nginx {
    /// Starts it in front of `gateway`, and of the customers' pages at `pages`. It listens at a socket of its folder, so that it needs no port.
    pub(crate) async fn before(gateway: SocketAddr, pages: SocketAddr) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let (gate, connect) = (authority.sign("gate", "gate.example"), authority.sign("connect", "connect.example"));
        let place = |name: &str| folder.path().join(name).display().to_string();
        let mut shipped = shipped("nginx.conf");
        for (from, to, times) in [
            ("listen 443 ssl http2", format!("listen unix:{} ssl http2", place("socket")), 2),
            ("127.0.0.1:4100", gateway.to_string(), 1),
            ("127.0.0.1:4102", pages.to_string(), 1),
            ("/etc/scopegate/gate.pem", gate.cert.display().to_string(), 1),
            ("/etc/scopegate/gate.key", gate.key.display().to_string(), 1),
            ("/etc/scopegate/connect.pem", connect.cert.display().to_string(), 1),
            ("/etc/scopegate/connect.key", connect.key.display().to_string(), 1),
        ] {
            assert_eq!(shipped.matches(from).count(), times, "{from}");
            shipped = shipped.replace(from, &to);
        }
        let temporary: String =
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("{kind}_temp_path {};\n", place(kind))).collect();
        let main = format!(
            "daemon off;\nmaster_process off;\npid {};\nerror_log stderr warn;\nevents {{}}\nhttp {{\n{temporary}include {};\n}}\n",
            place("pid"),
            place("scopegate.conf")
        );
        std::fs::write(folder.path().join("scopegate.conf"), shipped).unwrap();
        std::fs::write(folder.path().join("nginx.conf"), main).unwrap();
        let command = |arguments: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command.args(["-p", &place(""), "-c", &place("nginx.conf")]).args(arguments).stdin(Stdio::null());
            command
        };
        let tested = command(&["-t"]).output().unwrap_or_else(|error| panic!("{PROGRAM}: {error}; `scripts/set-up test` installs it"));
        assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
        let child = command(&[]).spawn().unwrap();
        let mut nginx = Self { authority, folder, child };
        while UnixStream::connect(nginx.socket()).await.is_err() {
            assert_eq!(nginx.child.try_wait().unwrap(), None, "nginx has ended");
            tokio::task::yield_now().await;
        }
        nginx
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// A connection to it as `host`.
    pub(crate) async fn connect(&self, host: &'static str, protocol: &str) -> TlsStream<UnixStream> {
        let stream = UnixStream::connect(self.socket()).await.unwrap();
        let stream = self.authority.client(&[protocol], None).connect(ServerName::try_from(host).unwrap(), stream).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(protocol.as_bytes()));
        stream
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
