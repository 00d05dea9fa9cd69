//! `scopegate dev`: everything on loopback, from nothing.
//!
//! A practice provider, a practice CRM, and the same [`App`](crate::app::App) that `serve` runs, between two customers
//! with three roles each, all of them connected by walking the real authorization flow over HTTP. Live, it tells each
//! decision in a line; played once, it is a scenario of six [`Promise`]s, each kept or not.
//!
//! Nothing here prints: whoever calls is given lines to say.

mod agent;
mod cast;
mod folder;
mod greeting;
mod line;
mod once;
mod operator;
mod promise;
mod story;
mod world;

pub use agent::{Agent, Call, NoReply, Reply};
pub use cast::{Borrowed, Member, borrowed, members};
pub use folder::FolderError;
pub use line::line;
pub use once::{Played, Told, once};
pub use operator::{Operator, OperatorError};
pub use promise::{Promise, UnknownPromise};
pub use world::{Decided, Watched, World, WorldError};

use crate::app::Signals;
use greeting::greeting;
use scopegate_core::policy::Look;
use std::path::PathBuf;

/// Where `dev` lives, and how it shows what happens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder; made where it is missing.
    pub folder: PathBuf,
    /// The gateway's port; the admin plane takes the next one. 0: any two that are free.
    pub port: u16,
    /// Whether the lines have colours.
    pub look: Look,
    /// How decisions are told.
    pub telling: Telling,
}

/// How decisions are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Telling {
    /// A line for people.
    Lines,
    /// The audit's event as JSON.
    Json,
}

/// Runs until the process is told to stop, telling each decision.
/// # Errors
/// [`WorldError`]: nothing was started.
pub async fn live(options: &Options, say: impl Fn(&str)) -> Result<(), WorldError> {
    let mut world = World::start(options, None).await?;
    let mut signals = Signals::listen().map_err(WorldError::Signals)?;
    if options.telling == Telling::Lines {
        say(&greeting(&world, options.look));
    }
    tokio::select! {
        () = signals.told_to_stop(&world.running) => {}
        () = tell_all(&mut world.watched, options, &say) => {}
    }
    world.end().await;
    Ok(())
}

async fn tell_all(watched: &mut Watched, options: &Options, say: &impl Fn(&str)) {
    while let Some(decided) = watched.next().await {
        match options.telling {
            Telling::Lines => say(&line(&decided, options.look)),
            Telling::Json => say(&serde_json::to_string(&decided.event).unwrap_or_default()),
        }
    }
}
