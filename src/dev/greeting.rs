//! What `dev` says when everything runs.

use super::World;
use super::cast::{PUBLISHER, RESEARCHER, borrowed, members};
use super::line::{Hue, paint};
use scopegate_core::policy::Look;
use std::fmt::Write as _;

/// Where everything is, who is connected, and two calls to try.
pub(super) fn greeting(world: &World, look: Look) -> String {
    let running = world.running();
    let bold = |text: &str| paint(text, Hue::Bold, look);
    let dim = |text: &str| paint(text, Hue::Dim, look);
    let gateway = running.gateway_addresses();
    let mut text = format!("{}\n", bold("Scopegate runs on loopback, with a practice provider and a practice CRM behind it."));
    let places = [
        ("gateway", gateway.clone(), "where agents connect"),
        ("admin", format!("http://{}", running.admin), "its token is in keys/admin-token"),
        ("provider", world.practice().provider_origin(), "60-second tokens"),
        ("CRM", world.practice().api_origin(), ""),
        ("settings", world.settings().display().to_string(), "beside it: policies (an edit comes into force by itself), keys, data"),
    ];
    for (name, place, remark) in places {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<10}{place:<34}{}", dim(remark));
    }
    let _ = writeln!(text, "\n{}", bold("Connected accounts"));
    for customer in ["acme", "globex"] {
        let names: Vec<&str> = members().iter().filter(|member| member.customer == customer).map(|member| member.identifier).collect();
        let _ = writeln!(text, "  {customer:<10}{}", names.join("  "));
    }
    let shipped = borrowed().map(|borrowed| format!("{} {}", borrowed.member.connector, borrowed.member.identifier));
    let _ = writeln!(text, "  {:<10}{}", "", dim(&format!("and of acme also: {}", shipped.join(", "))));
    let write = |identifier: &str| {
        format!(
            "curl -X PATCH {gateway}/crm/v1/opportunities/O-7 -H 'Scopegate-Account: {identifier}' -H 'Content-Type: application/json' -d '{{\"stage\":\"Won\"}}'"
        )
    };
    let _ = writeln!(text, "\n{}", bold("Try"));
    let _ = writeln!(
        text,
        "  {}  curl {gateway}/crm/v1/accounts/A-1 -H 'Scopegate-Account: {}'",
        paint("allowed", Hue::Green, look),
        RESEARCHER.identifier
    );
    let _ = writeln!(text, "  {}   {}", paint("denied", Hue::Red, look), write(RESEARCHER.identifier));
    let _ = writeln!(text, "  {}", dim(&format!("the same as {} is allowed", PUBLISHER.identifier)));
    let _ = write!(text, "\n{}", bold("Decisions"));
    text
}
