//! The world of `dev`: practice servers, the running gateway, and everybody connected.

use super::cast::{borrowed, members};
use super::folder::{CLIENT, Folder, FolderError};
use super::{Agent, Operator, OperatorError, Options, Promise};
use crate::app::{App, Running, StartError};
use crate::audit::Event;
use crate::clock::Clock;
use crate::gateway::Watcher;
use crate::practice::{Browser, Practice, Registration};
use crate::settings::{Settings, SettingsError};
use crate::store::Rollback;
use crate::tasks::Tasks;
use scopegate_core::secret::{BearerSecret, ClientSecret};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// How long the practice servers may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// Everything that runs.
pub struct World {
    /// What the gateway decides, as it decides.
    pub watched: Watched,
    practice: Practice,
    pub(super) running: Running,
    agent: Agent,
    operator: Operator,
    clock: Clock,
    tasks: Tasks,
    settings: PathBuf,
    _folder: Folder,
}

/// The gateway's decisions, in order.
#[derive(Debug)]
pub struct Watched(mpsc::UnboundedReceiver<Decided>);

/// One decision.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The audit's event.
    pub event: Event,
    /// Headers of the request that did not reach the API.
    pub dropped_headers: Vec<String>,
}

impl Watched {
    /// The next decision; none when the gateway has ended.
    pub async fn next(&mut self) -> Option<Decided> {
        self.0.recv().await
    }
}

/// Why there is no world.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The folder.
    #[error("the folder cannot be used")]
    Folder(#[from] FolderError),
    /// The practice servers.
    #[error("the practice servers cannot have an address on loopback")]
    Practice(#[source] io::Error),
    /// The settings that were written for it.
    #[error("the settings cannot be used")]
    Settings(#[from] SettingsError),
    /// The gateway.
    #[error("the gateway did not start")]
    Start(#[from] StartError),
    /// The HTTP client of agents and operators.
    #[error("there is no HTTP client")]
    Http(#[source] reqwest::Error),
    /// Accounts could not be connected.
    #[error("the accounts could not be connected")]
    Operator(#[from] OperatorError),
    /// The system lets us watch no signals.
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
}

impl World {
    /// Starts everything and connects everybody.
    /// # Errors
    /// [`WorldError`]
    pub async fn start(options: &Options, sabotage: Option<Promise>) -> Result<Self, WorldError> {
        let folder = Folder::open(&options.folder)?;
        let (clock, tasks) = (Clock::system(), Tasks::new(tokio::runtime::Handle::current()));
        let (id, secret) = CLIENT;
        let registration = Registration { client_id: id.to_owned(), client_secret: ClientSecret::new(secret.to_owned()) };
        let practice = Practice::start(&clock, &tasks, registration).await.map_err(WorldError::Practice)?;
        let settings = folder.furnish(options, &practice, sabotage)?;
        let (events, watched) = mpsc::unbounded_channel();
        // Nobody listens any more only when the world ends.
        let watcher = Watcher(Arc::new(move |event: &Event, dropped: &[String]| {
            let decided = Decided { event: event.clone(), dropped_headers: dropped.to_vec() };
            drop(events.send(decided));
        }));
        // The store of an earlier `dev` was deleted on purpose.
        let running = App::start(Settings::read(&settings)?, Some(watcher), Rollback::Accepted).await?;
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().map_err(WorldError::Http)?;
        let token = BearerSecret::new(folder.admin_token()?);
        let operator = Operator::new(http.clone(), format!("http://{}", running.admin), token);
        let agent = Agent::new(http, running.gateway.first().map(|address| format!("http://{address}")).unwrap_or_default());
        let world = Self { watched: Watched(watched), practice, running, agent, operator, clock, tasks, settings, _folder: folder };
        world.connect_all().await?;
        Ok(world)
    }

    async fn connect_all(&self) -> Result<(), WorldError> {
        for member in members().into_iter().chain(borrowed().map(|borrowed| borrowed.member)) {
            self.operator.ensure(&member).await?;
            let mut browser = Browser::new().map_err(WorldError::Http)?;
            self.operator.connect(&member, &mut browser).await?;
        }
        Ok(())
    }

    /// The practice servers.
    #[must_use]
    pub fn practice(&self) -> &Practice {
        &self.practice
    }

    /// The gateway.
    #[must_use]
    pub fn running(&self) -> &Running {
        &self.running
    }

    /// An agent that calls the gateway.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    /// An operator of its admin plane.
    #[must_use]
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// The time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Who runs what agents do at once.
    #[must_use]
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// The settings that it runs with.
    #[must_use]
    pub fn settings(&self) -> &PathBuf {
        &self.settings
    }

    /// Ends everything.
    pub async fn end(self) {
        if let Err(cut) = self.running.shutdown().await {
            tracing::warn!(%cut, "the gateway ended");
        }
        self.tasks.shutdown(GRACE).await;
    }
}
