//! A decision in a line.

use super::Decided;
use crate::audit::{Event, Verdict};
use scopegate_core::policy::Look;

/// One decision: time, verdict, customer, account, request, status, milliseconds, operation or reason; in columns. Then the
/// headers that did not reach the API, so that an author finds them.
#[must_use]
pub fn line(decided: &Decided, look: Look) -> String {
    let event = &decided.event;
    let time = event.time.to_string();
    let clock = time.get(11..23).unwrap_or(&time).to_owned();
    let (verdict, hue) = match event.decision {
        Verdict::Allow if event.reason.is_some() => ("allow", Hue::Yellow),
        Verdict::Allow => ("allow", Hue::Green),
        Verdict::Deny => ("deny", Hue::Red),
        Verdict::WouldDeny => ("would", Hue::Yellow),
    };
    let request = format!(
        "{:<6} {}{}",
        event.method.as_deref().unwrap_or("?"),
        event.connector.as_ref().map(|connector| format!("/{connector}")).unwrap_or_default(),
        event.path.as_deref().unwrap_or(" (unreadable)"),
    );
    let columns = [
        paint(&clock, Hue::Dim, look),
        paint(&format!("{verdict:<5}"), hue, look),
        format!("{:<8}", event.customer.as_ref().map_or("-", |customer| customer.as_str())),
        format!("{:<18}", event.account.as_deref().unwrap_or("-")),
        format!("{request:<46}"),
        event.status.map_or("  -".to_owned(), |status| status.to_string()),
        paint(&format!("{:>4} ms", event.duration_ms), Hue::Dim, look),
        outcome(event),
    ];
    let mut line = columns.join("  ");
    if !decided.dropped_headers.is_empty() {
        line.push_str(&paint(&format!("  without {}", decided.dropped_headers.join(", ")), Hue::Dim, look));
    }
    line
}

/// The sentence of a denial for scope, else the reason; the operation where there is none.
fn outcome(event: &Event) -> String {
    match event.reason {
        Some(reason) => {
            if event.missing.is_empty() {
                return reason.to_string();
            }
            let missing: String = event.missing.iter().map(|scope| format!(" {scope}")).collect();
            format!("{}:{missing} required", reason.error())
        }
        None => event.operation.as_deref().unwrap_or_default().to_owned(),
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hue {
    Green,
    Red,
    Yellow,
    Bold,
    Dim,
}

pub(super) fn paint(text: &str, hue: Hue, look: Look) -> String {
    let code = match hue {
        Hue::Green => "32",
        Hue::Red => "31",
        Hue::Yellow => "33",
        Hue::Bold => "1",
        Hue::Dim => "2",
    };
    match look {
        Look::Plain => text.to_owned(),
        Look::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scopegate_core::id::RequestId;
    use scopegate_core::refusal::Reason;

    #[test]
    fn a_refusal_says_whose_what_and_why_in_columns() {
        let mut event = Event::draft(RequestId::from_bytes([7; 16]), "2026-11-26T09:00:00.123Z".parse().unwrap());
        event.customer = Some("acme".parse().unwrap());
        event.account = Some("user_1_researcher".into());
        event.connector = Some("crm".parse().unwrap());
        event.method = Some("PATCH".into());
        event.path = Some("/v1/opportunities/O-7".into());
        event.reason = Some(Reason::RoleLacksScope);
        event.missing = vec!["opportunities:write".parse().unwrap()];
        event.status = Some(403);
        let mut decided = Decided { event, dropped_headers: Vec::new() };
        assert_eq!(
            line(&decided, Look::Plain),
            "09:00:00.123  deny   acme      user_1_researcher   PATCH  /crm/v1/opportunities/O-7                403     0 ms  \
             insufficient_scope: opportunities:write required"
        );
        assert!(line(&decided, Look::Coloured).contains("\x1b[31mdeny \x1b[0m"));
        decided.dropped_headers = vec!["cookie".into(), "x-odd".into()];
        assert!(line(&decided, Look::Plain).ends_with(" required  without cookie, x-odd"));
    }
}
