//! What the provider has issued, and to whom. No sockets, no waiting.

use super::super::Label;
use super::dialect::Dialect;
use crate::chance;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use scopegate_core::time::Instant;
use std::collections::HashMap;
use std::time::Duration;

/// All codes, tokens and consents. Nothing is ever forgotten, so that a token used too late can still be told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    families: Vec<Family>,
    tokens: Tokens,
    codes: HashMap<String, Code>,
}

#[derive(Debug, Default)]
struct Tokens {
    access: HashMap<String, Access>,
    refresh: HashMap<String, FamilyId>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct FamilyId(usize);

/// One consent of one customer: a chain of rotated refresh tokens.
#[derive(Debug)]
struct Family {
    label: Label,
    scopes: Vec<String>,
    dialect: Dialect,
    current: Option<String>,
    /// Refresh tokens that are not current any more, and since when.
    replaced: HashMap<String, Instant>,
    life: Life,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Life {
    Honoured,
    Ended,
}

#[derive(Debug)]
struct Access {
    family: FamilyId,
    until: Instant,
}

/// A consent that waits for its token request.
#[derive(Debug)]
pub(super) struct Code {
    pub(super) label: Label,
    pub(super) scopes: Vec<String>,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) dialect: Dialect,
}

/// A token set as it is handed out.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) label: Label,
    pub(super) access: String,
    /// None where this answer brings no refresh token.
    pub(super) refresh: Option<String>,
    pub(super) lifetime: Duration,
    pub(super) scope: String,
}

/// Whose access token something is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Owner {
    /// Whose consent it came from.
    pub label: Label,
    /// Whether the API still takes it.
    pub live: bool,
}

/// Why a refresh token was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refused {
    NeverIssued,
    FamilyEnded,
    /// This use ended the family.
    UsedTwice,
}

impl Ledger {
    /// A consent that exists already.
    pub(super) fn consent(&mut self, label: Label, scopes: Vec<String>, dialect: Dialect, now: Instant, lifetime: Duration) -> Issued {
        let id = FamilyId(self.families.len());
        let mut family = Family { label, scopes, dialect, current: None, replaced: HashMap::new(), life: Life::Honoured };
        let issued = self.tokens.issue(id, &mut family, now, lifetime);
        self.families.push(family);
        issued
    }

    pub(super) fn code(&mut self, code: Code) -> String {
        let text = opaque("code");
        self.codes.insert(text.clone(), code);
        text
    }

    /// Spends a code; none where it was never given, was spent, or where the address or the verifier is another.
    pub(super) fn spend(&mut self, code: &str, redirect_uri: &str, verifier: &str) -> Option<Code> {
        let proof = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
        self.codes.remove(code).filter(|code| code.redirect_uri == redirect_uri && code.challenge == proof)
    }

    /// Whose refresh token this is, spent or not.
    pub(super) fn holder(&self, refresh: &str) -> Option<(Label, Dialect)> {
        let family = self.families.get(self.tokens.refresh.get(refresh)?.0)?;
        Some((family.label.clone(), family.dialect))
    }

    /// Rotates. A refresh token that was replaced longer than `leeway` ago ends its whole family.
    pub(super) fn refresh(&mut self, token: &str, now: Instant, lifetime: Duration, leeway: Duration) -> Result<Issued, Refused> {
        let id = *self.tokens.refresh.get(token).ok_or(Refused::NeverIssued)?;
        let family = self.families.get_mut(id.0).ok_or(Refused::NeverIssued)?;
        if family.life == Life::Ended {
            return Err(Refused::FamilyEnded);
        }
        let in_leeway = family.replaced.get(token).is_some_and(|since| now < since.plus(leeway));
        if family.current.as_deref() != Some(token) && !in_leeway {
            family.life = Life::Ended;
            self.tokens.refuse(id);
            return Err(Refused::UsedTwice);
        }
        Ok(self.tokens.issue(id, family, now, lifetime))
    }

    /// Whether `label`'s newest consent is good for anything.
    pub(super) fn honours(&self, label: &Label) -> bool {
        self.families.iter().rfind(|family| family.label == *label).is_some_and(|family| family.life == Life::Honoured)
    }

    /// A token of `label`'s newest consent.
    pub(super) fn token_of(&self, label: &Label) -> Option<String> {
        let newest = self.families.iter().rposition(|family| family.label == *label)?;
        let held = self.tokens.access.iter().filter(|(_, access)| access.family.0 == newest);
        held.max_by_key(|(_, access)| access.until).map(|(token, _)| token.clone())
    }

    pub(super) fn owner(&self, access: &str, now: Instant) -> Option<Owner> {
        let access = self.tokens.access.get(access)?;
        let family = self.families.get(access.family.0)?;
        Some(Owner { label: family.label.clone(), live: now < access.until })
    }

    /// From now on the API refuses this access token.
    pub(super) fn expire_token(&mut self, access: &str) {
        if let Some(access) = self.tokens.access.get_mut(access) {
            access.until = Instant::default();
        }
    }

    /// From now on the API refuses the access tokens that `label` has.
    pub(super) fn expire(&mut self, label: &Label) {
        for id in self.families_of(label) {
            self.tokens.refuse(id);
        }
    }

    /// The customer takes all consents of `label` back.
    pub(super) fn withdraw(&mut self, label: &Label) {
        for id in self.families_of(label) {
            self.end(id);
        }
    }

    /// RFC 7009: whose consent ended, if the token was one of ours.
    pub(super) fn revoke(&mut self, token: &str) -> Option<Label> {
        let id = self.tokens.refresh.get(token).copied().or_else(|| self.tokens.access.get(token).map(|access| access.family))?;
        self.end(id);
        self.families.get(id.0).map(|family| family.label.clone())
    }

    /// Every code and token ever issued.
    pub(super) fn secrets(&self) -> Vec<String> {
        self.tokens.access.keys().chain(self.tokens.refresh.keys()).chain(self.codes.keys()).cloned().collect()
    }

    fn end(&mut self, id: FamilyId) {
        if let Some(family) = self.families.get_mut(id.0) {
            family.life = Life::Ended;
        }
        self.tokens.refuse(id);
    }

    fn families_of(&self, label: &Label) -> Vec<FamilyId> {
        let numbered = self.families.iter().enumerate();
        numbered.filter(|(_, family)| family.label == *label).map(|(number, _)| FamilyId(number)).collect()
    }
}

impl Tokens {
    fn issue(&mut self, id: FamilyId, family: &mut Family, now: Instant, lifetime: Duration) -> Issued {
        let access = opaque("access");
        self.access.insert(access.clone(), Access { family: id, until: now.plus(lifetime) });
        let refresh = (family.current.is_none() || family.dialect.rotates()).then(|| opaque("refresh"));
        if let Some(fresh) = &refresh {
            if let Some(old) = family.current.replace(fresh.clone()) {
                family.replaced.insert(old, now);
            }
            self.refresh.insert(fresh.clone(), id);
        }
        Issued { label: family.label.clone(), access, refresh, lifetime, scope: family.scopes.join(" ") }
    }

    fn refuse(&mut self, id: FamilyId) {
        for access in self.access.values_mut().filter(|access| access.family == id) {
            access.until = Instant::default();
        }
    }
}

/// Something that nobody can guess, and that says what it is for.
fn opaque(kind: &str) -> String {
    format!("practice-{kind}-{}", URL_SAFE_NO_PAD.encode(chance::bytes::<18>()))
}
