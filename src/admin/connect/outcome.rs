//! How an authorization went, as the customer reads it. The provider's words and the query's never stand on a page.

use super::pages::{self, Message, PageHeaders, Tone};
use super::{see_other, words};
use crate::grants::{CallbackError, Finished, LinkError, Outcome, OutcomeFault, Warning};
use axum::http::StatusCode;
use axum::response::Response;

/// Says how it went, or sends the browser back to the application.
pub(super) fn of_finished(finished: &Finished, headers: &PageHeaders) -> Response {
    let back = finished.return_to.as_ref().map(url::Url::as_str);
    match (&finished.outcome, back) {
        (Outcome::Connected { .. } | Outcome::AwaitsConfirmation, Some(back)) => see_other(back, headers),
        (outcome, back) => said(outcome, &finished.title, back, headers),
    }
}

fn said(outcome: &Outcome, api: &str, back: Option<&str>, headers: &PageHeaders) -> Response {
    match outcome {
        Outcome::Connected { missing, warnings } => {
            let mut sentences = vec![format!("Your {api} account is connected. You can close this page.")];
            if warnings.iter().any(|warning| matches!(warning, Warning::NoRefreshToken)) {
                sentences.push(format!("{api} has given a connection that ends by itself; you will be asked again then."));
            }
            if !missing.is_empty() {
                sentences.push("You did not agree to everything that was asked. This stays impossible:".into());
            }
            let list = missing.iter().map(words).collect();
            pages::page(StatusCode::OK, &Message { heading: "Connected", sentences, list, back, tone: Tone::Done }, headers)
        }
        Outcome::AwaitsConfirmation => {
            let sentence = format!(
                "You have agreed at {api}. The application that asked you has to confirm; until then nothing is done in your account. You can close this page."
            );
            message(StatusCode::OK, Tone::Waiting, ("Almost done", sentence), back, headers)
        }
        Outcome::Declined => {
            let sentence =
                format!("You said no at {api}, so nothing was connected and nothing has changed. To connect after all, ask for a new link.");
            message(StatusCode::OK, Tone::Nothing, ("Not connected", sentence), back, headers)
        }
        Outcome::NothingGranted => {
            let sentence =
                format!("{api} reports that you agreed to nothing that was asked, so nothing was connected. To try again, ask for a new link.");
            message(StatusCode::OK, Tone::Nothing, ("Not connected", sentence), back, headers)
        }
        Outcome::Failed(fault) => {
            let (status, sentence) = match fault {
                OutcomeFault::Provider => (StatusCode::BAD_GATEWAY, format!("{api} gave no usable answer. Ask for a new link and try again.")),
                OutcomeFault::Misconfigured => (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("{api} does not accept how this gateway is set up. Tell whoever sent you here; trying again will not help."),
                ),
                OutcomeFault::Variable(_) => (
                    StatusCode::BAD_GATEWAY,
                    format!("The {api} account that you signed in with is not one that may be connected here. Try again with another one."),
                ),
            };
            message(status, Tone::Trouble, ("Not connected", sentence), back, headers)
        }
    }
}

/// Says why a link leads nowhere.
pub(super) fn of_link(fault: LinkError, headers: &PageHeaders) -> Response {
    match fault {
        LinkError::Unknown => {
            let sentence = "This link was used already, is over, or never was one. Ask for a new one where you got it.".into();
            trouble(StatusCode::BAD_REQUEST, "This link leads nowhere", sentence, headers)
        }
        LinkError::OtherBrowser => other_browser(headers),
        LinkError::Misconfigured => {
            let sentence = "The API behind this link is not set up here. Tell whoever sent you; trying again will not help.".into();
            trouble(StatusCode::INTERNAL_SERVER_ERROR, "This cannot be connected", sentence, headers)
        }
        LinkError::Store => unavailable(headers),
    }
}

/// Says why a callback is not taken.
pub(super) fn of_callback(fault: CallbackError, headers: &PageHeaders) -> Response {
    match fault {
        CallbackError::Unknown => {
            let sentence = "This answer was used already, came too late, or belongs to nothing that was begun here. Ask for a new link.".into();
            trouble(StatusCode::BAD_REQUEST, "This leads nowhere", sentence, headers)
        }
        CallbackError::OtherBrowser => other_browser(headers),
        CallbackError::Store => unavailable(headers),
    }
}

/// Says that there is no page at this address.
pub(super) fn no_page(status: StatusCode, headers: &PageHeaders) -> Response {
    let sentence = "There is no page at this address. Part of the link may be missing: open the whole link that you were given.".into();
    trouble(status, "This link leads nowhere", sentence, headers)
}

/// Says that a form did not come from a page of ours.
pub(super) fn foreign_form(headers: &PageHeaders) -> Response {
    let sentence = "This form was not sent from its own page. Open the link again and continue there.".into();
    trouble(StatusCode::FORBIDDEN, "Not from here", sentence, headers)
}

fn other_browser(headers: &PageHeaders) -> Response {
    let sentence = "Whoever begins has to finish, in the same browser and with cookies allowed. Open the link again in this browser and continue \
                    here; if it leads nowhere, ask for a new one.";
    trouble(StatusCode::FORBIDDEN, "This was begun in another browser", sentence.into(), headers)
}

fn unavailable(headers: &PageHeaders) -> Response {
    let sentence = "Something that is needed does not work at present. Wait a minute and try again.".into();
    trouble(StatusCode::SERVICE_UNAVAILABLE, "Not now", sentence, headers)
}

fn trouble(status: StatusCode, heading: &str, sentence: String, headers: &PageHeaders) -> Response {
    message(status, Tone::Trouble, (heading, sentence), None, headers)
}

fn message(status: StatusCode, tone: Tone, (heading, sentence): (&str, String), back: Option<&str>, headers: &PageHeaders) -> Response {
    let mut answer = pages::page(status, &Message { heading, sentences: vec![sentence], list: Vec::new(), back, tone }, headers);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(axum::http::header::RETRY_AFTER, axum::http::HeaderValue::from_static("60"));
    }
    answer
}
