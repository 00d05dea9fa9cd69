//! The others: what people put in front of an API when they write no policy gateway. Each adds the account's token from a map, where it can.

use crate::contender::{Contender, free_port};
use crate::gateway::identifier;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

/// All of them, over this upstream, for so many accounts.
pub(crate) fn all(folder: &Path, upstream: &Contender, accounts: usize) -> Vec<Contender> {
    vec![pass_through(upstream), nginx(folder, upstream, accounts), haproxy(folder, upstream, accounts), envoy(folder, upstream)]
}

fn pass_through(upstream: &Contender) -> Contender {
    let port = free_port();
    let mut command = Command::new(std::env::current_exe().unwrap());
    Contender::start("pingora's pass-through", port, command.args(["pass-through", &port.to_string(), &upstream.port().to_string()]))
}

fn nginx(folder: &Path, upstream: &Contender, accounts: usize) -> Contender {
    let (port, folder) = (free_port(), folder.join("nginx"));
    fs::create_dir_all(&folder).unwrap();
    let mut tokens = String::new();
    (0..accounts).for_each(|number| _ = writeln!(tokens, "{} \"Bearer token-{number:032}\";", identifier(number)));
    fs::write(folder.join("tokens"), tokens).unwrap();
    let temporary: String =
        ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].iter().map(|kind| format!("    {kind}_temp_path {kind};\n")).collect();
    let text = format!(
        r#"daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
{temporary}    access_log off;
    keepalive_requests 1000000000;
    map_hash_max_size 1000000;
    map_hash_bucket_size 128;
    map $http_scopegate_account $token {{
        default "";
        include tokens;
    }}
    upstream api {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
    server {{
        listen 127.0.0.1:{port};
        location /crm/ {{
            proxy_pass http://api/;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Authorization $token;
        }}
    }}
}}
"#,
        upstream = upstream.port(),
    );
    fs::write(folder.join("nginx.conf"), text).unwrap();
    Contender::start("nginx", port, Command::new("/usr/sbin/nginx").arg("-p").arg(&folder).args(["-e", "stderr", "-c", "nginx.conf"]))
}

fn haproxy(folder: &Path, upstream: &Contender, accounts: usize) -> Contender {
    let (port, folder) = (free_port(), folder.join("haproxy"));
    fs::create_dir_all(&folder).unwrap();
    let mut tokens = String::new();
    (0..accounts).for_each(|number| _ = writeln!(tokens, "{} token-{number:032}", identifier(number)));
    fs::write(folder.join("tokens"), tokens).unwrap();
    let text = format!(
        r#"global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend gate
    bind 127.0.0.1:{port}
    http-request set-header Authorization "Bearer %[req.hdr(scopegate-account),map_str({tokens})]"
    http-request replace-path /crm(/.*) \1
    default_backend api
backend api
    http-reuse always
    server one 127.0.0.1:{upstream}
"#,
        tokens = folder.join("tokens").display(),
        upstream = upstream.port(),
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    Contender::start("HAProxy", port, Command::new("/usr/sbin/haproxy").arg("-db").arg("-f").arg(file))
}

fn envoy(folder: &Path, upstream: &Contender) -> Contender {
    let (port, file) = (free_port(), folder.join("envoy.yaml"));
    let text = format!(
        r#"static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: gate
          route_config:
            virtual_hosts:
            - name: gate
              domains: ["*"]
              request_headers_to_add: [{{header: {{key: Authorization, value: "Bearer token"}}, append_action: OVERWRITE_IF_EXISTS_OR_ADD}}]
              routes: [{{match: {{prefix: "/crm/"}}, route: {{cluster: api, prefix_rewrite: "/"}}}}]
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
  - name: api
    type: STATIC
    load_assignment:
      cluster_name: api
      endpoints: [{{lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream}}}}}}}}}]}}]
"#,
        upstream = upstream.port(),
    );
    fs::write(&file, text).unwrap();
    let binary = fs::read_dir(crate::target().join("peers/lib")).ok().into_iter().flatten().flatten();
    let binary = binary.map(|python| python.path().join("site-packages/envoy/_bin/envoy")).find(|binary| binary.exists());
    let binary = binary.expect("Envoy: `scripts/set-up bench` brings it");
    Contender::start("Envoy", port, Command::new(binary).args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "off", "-c"]).arg(file))
}
