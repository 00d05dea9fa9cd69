//! A provider, and the API that takes its tokens.

use std::collections::BTreeMap;

/// How a provider treats a refresh token that it has replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reuse {
    /// Tokens are not replaced.
    Static,
    /// It ends the grant.
    Fatal,
    /// It is refused, and that is all.
    Refused,
    /// It is taken for so long.
    Leeway(u64),
}

/// What the end of a grant does to access tokens that are out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Aftermath {
    TokensLiveOn,
    TokensDie,
}

/// What was issued by one consent.
#[derive(Debug, Default)]
struct Family {
    dead: bool,
    current: u64,
    replaced: BTreeMap<u64, u64>,
}

#[derive(Debug)]
pub(super) struct Provider {
    pub(super) reuse: Reuse,
    aftermath: Aftermath,
    lifetime: u64,
    families: Vec<Family>,
    family_of: BTreeMap<u64, usize>,
    /// The consent of an access token, and its end.
    access: BTreeMap<u64, (usize, u64)>,
    serial: u64,
    pub(super) refreshed_at: u64,
}

/// Serial numbers of two tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Issued {
    pub(super) access: u64,
    pub(super) refresh: u64,
}

/// What the API makes of an access token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Taken {
    Yes,
    /// It ended then.
    Over(u64),
    /// Its grant has ended.
    Dead,
}

impl Provider {
    pub(super) fn new(reuse: Reuse, aftermath: Aftermath, lifetime: u64) -> Self {
        let (families, family_of, access) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { reuse, aftermath, lifetime, families, family_of, access, serial: 0, refreshed_at: 0 }
    }

    pub(super) fn consent(&mut self, now: u64) -> Issued {
        self.families.push(Family::default());
        self.issue(self.families.len() - 1, now)
    }

    fn issue(&mut self, family: usize, now: u64) -> Issued {
        self.serial += 2;
        let (access, fresh) = (self.serial, self.serial + 1);
        let chain = &mut self.families[family];
        if chain.current == 0 || self.reuse != Reuse::Static {
            if chain.current != 0 {
                chain.replaced.insert(chain.current, now);
            }
            chain.current = fresh;
            self.family_of.insert(fresh, family);
        }
        self.access.insert(access, (family, now + self.lifetime));
        self.refreshed_at = now;
        Issued { access, refresh: chain.current }
    }

    pub(super) fn honours(&self, refresh: u64, now: u64) -> bool {
        let chain = &self.families[self.family_of[&refresh]];
        let in_leeway = |replaced: &u64| matches!(self.reuse, Reuse::Leeway(window) if now < replaced + window);
        !chain.dead && (chain.current == refresh || chain.replaced.get(&refresh).is_some_and(in_leeway))
    }

    pub(super) fn has_replaced(&self, refresh: u64) -> bool {
        self.families[self.family_of[&refresh]].replaced.contains_key(&refresh)
    }

    pub(super) fn refresh(&mut self, refresh: u64, now: u64) -> Option<Issued> {
        let family = self.family_of[&refresh];
        if self.honours(refresh, now) {
            return Some(self.issue(family, now));
        }
        self.families[family].dead |= self.reuse == Reuse::Fatal;
        None
    }

    /// The customer takes the consent back that this refresh token came of.
    pub(super) fn withdraw(&mut self, refresh: u64) {
        self.families[self.family_of[&refresh]].dead = true;
    }

    pub(super) fn takes(&self, access: u64, now: u64) -> Taken {
        let (family, ends) = self.access[&access];
        match self.aftermath {
            Aftermath::TokensDie if self.families[family].dead => Taken::Dead,
            _ if now >= ends => Taken::Over(ends),
            Aftermath::TokensDie | Aftermath::TokensLiveOn => Taken::Yes,
        }
    }
}
