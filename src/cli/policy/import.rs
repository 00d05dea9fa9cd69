//! `scopegate policy import`: from an API's own description to a connector document.

use crate::cli::Outcome;
use crate::cli::output::{Format, decline, say, say_json, tell};
use anyhow::Context;
use scopegate_core::id::ConnectorId;
use scopegate_core::import::{self, Array, Imported, Kind, Refusal, Wishes};
use scopegate_core::policy::{Findings, document};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// A file of more bytes is no description, packed or not: 64 MiB, and one more to tell.
const MOST: u64 = (64 << 20) + 1;

/// Makes a connector document of an API's own description.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Import {
    /// From OpenAPI 3 or 2, as JSON or YAML, perhaps packed with gzip.
    Openapi(Openapi),
    /// From Google's Discovery format, perhaps packed with gzip.
    GoogleDiscovery(Place),
    /// From Microsoft Graph's list of permissions, perhaps packed with gzip.
    MsgraphPermissions(MsgraphPermissions),
}

/// What every importer is told.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Place {
    /// The description.
    file: PathBuf,
    /// The connector's name.
    #[arg(long)]
    connector: ConnectorId,
    /// Where the document goes; without it to stdout.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Over a file that is there.
    #[arg(long, requires = "out")]
    force: bool,
    /// Origin of the API, perhaps with a path, instead of the description's first server.
    #[arg(long, value_name = "ORIGIN")]
    upstream: Option<String>,
}

/// From OpenAPI 3 or 2.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Openapi {
    #[command(flatten)]
    place: Place,
    /// What several scopes in one list mean, where the description does not say.
    #[arg(long, value_enum)]
    array: Option<ArrayWord>,
    /// A security scheme that carries scopes although it is no OAuth 2 scheme; repeatable.
    #[arg(long = "scheme", value_name = "NAME")]
    schemes: Vec<String>,
    /// The key of operations under which their scopes stand.
    #[arg(long, value_name = "KEY")]
    extension: Option<String>,
    /// Only schemes that issue such tokens carry scopes.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
}

/// From Microsoft Graph's list of permissions.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct MsgraphPermissions {
    #[command(flatten)]
    place: Place,
    /// For which tokens; left out: delegated.
    #[arg(long, value_enum)]
    kind: Option<KindWord>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ArrayWord {
    /// One of them is enough.
    Any,
    /// All of them are needed.
    All,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum KindWord {
    /// For a person who consented.
    Delegated,
    /// For the application itself.
    Application,
}

impl KindWord {
    fn kind(self) -> Kind {
        match self {
            Self::Delegated => Kind::Delegated,
            Self::Application => Kind::Application,
        }
    }
}

impl Import {
    pub(super) fn run(self, format: Format) -> anyhow::Result<Outcome> {
        match self {
            Self::Openapi(verb) => verb.place.import(import::openapi, &verb.wishes(), format),
            Self::MsgraphPermissions(verb) => {
                let wishes = Wishes { kind: verb.kind.map(KindWord::kind), ..verb.place.wishes() };
                verb.place.import(import::msgraph_permissions, &wishes, format)
            }
            Self::GoogleDiscovery(place) => place.import(import::google_discovery, &place.wishes(), format),
        }
    }
}

impl Openapi {
    fn wishes(&self) -> Wishes {
        Wishes {
            array: self.array.map(|word| match word {
                ArrayWord::Any => Array::Any,
                ArrayWord::All => Array::All,
            }),
            schemes: self.schemes.clone(),
            extension: self.extension.clone(),
            kind: self.kind.map(KindWord::kind),
            ..self.place.wishes()
        }
    }
}

impl Place {
    fn wishes(&self) -> Wishes {
        Wishes { connector: self.connector.clone(), upstream: self.upstream.clone(), array: None, schemes: Vec::new(), extension: None, kind: None }
    }

    fn import(&self, read_as: fn(&[u8], &Wishes) -> Result<Imported, Refusal>, wishes: &Wishes, format: Format) -> anyhow::Result<Outcome> {
        let imported = match read_as(&read(&self.file)?, wishes) {
            Ok(imported) => imported,
            Err(refusal @ Refusal::Unsaid { .. }) => return Err(refusal.into()),
            Err(refusal @ Refusal::Refused { .. }) => return decline(&format!("{}: {refusal}", self.file.display()), format),
        };
        imported.notes.iter().for_each(|note| tell(&format!("note: {note}")));
        match &self.out {
            Some(out) => self.written(out, &imported, format),
            None => {
                match format {
                    Format::Human => say(&imported.document),
                    Format::Json => say_json(&document::read(0, &imported.document, &mut Findings::new([])).and_then(|root| root.to_json()))?,
                }
                Ok(Outcome::Yes)
            }
        }
    }

    /// Writes the document whole, and over another only by `--force`.
    fn written(&self, out: &Path, imported: &Imported, format: Format) -> anyhow::Result<Outcome> {
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().tempfile_in(folder).with_context(|| format!("writing into {}", folder.display()))?;
        file.write_all(imported.document.as_bytes()).with_context(|| format!("writing {}", out.display()))?;
        make_readable(file.as_file()).with_context(|| format!("writing {}", out.display()))?;
        let kept = if self.force { file.persist(out) } else { file.persist_noclobber(out) };
        if let Err(fault) = kept {
            if fault.error.kind() == std::io::ErrorKind::AlreadyExists {
                return decline(&format!("{} is there already; `--force` writes over it", out.display()), format);
            }
            return Err(fault.error).with_context(|| format!("writing {}", out.display()));
        }
        let Imported { operations, unknown, scopes, notes, .. } = imported;
        match format {
            Format::Json => say_json(
                &json!({"ok": true, "file": out, "operations": operations, "operations_unknown": unknown, "scopes": scopes, "notes": notes}),
            )?,
            Format::Human => {
                let of_unknown = if *unknown == 0 { String::new() } else { format!(", {unknown} of them of unknown need and always refused") };
                say(&format!("{}: {operations} operations{of_unknown}; {scopes} scopes", out.display()));
            }
        }
        Ok(Outcome::Yes)
    }
}

/// The file, as far as a description goes.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_end(&mut bytes));
    read.with_context(|| format!("reading {}", path.display()))?;
    Ok(bytes)
}

/// A document is no secret: a temporary file is made for its owner alone, and this one is read by others too.
fn make_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
