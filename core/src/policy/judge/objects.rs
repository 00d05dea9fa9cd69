//! Which objects of the policy a query in SOQL reads.
//!
//! A name leads to an object only where the policy says so, and a name that could be
//! two things (an alias, and a relationship of that name) leads to both. A name that
//! leads nowhere makes the query one that nobody declared.

use crate::inspect::{Select, Source};
use crate::policy::content::Soql;
use std::collections::BTreeSet;

/// Places in the policy's `objects`.
type Objects = BTreeSet<usize>;

/// All objects that the query reads; none where it reads something that the policy does not name.
pub(super) fn read_by(select: &Select<'_>, soql: &Soql) -> Option<Objects> {
    let mut reader = Reader { soql, found: Objects::new() };
    reader.select(select, None)?;
    Some(reader.found)
}

struct Reader<'p> {
    soql: &'p Soql,
    found: Objects,
}

/// What names stand for in one selection.
struct Names<'q> {
    /// What the first source is: relationships begin there.
    root: Objects,
    /// Sources by their own names and aliases.
    known: Vec<(&'q str, Objects)>,
}

impl Reader<'_> {
    /// `around` is the selection that this one is a child of.
    fn select(&mut self, select: &Select<'_>, around: Option<&Names<'_>>) -> Option<()> {
        let (first, others) = select.from.split_first()?;
        let root = match (around, first.path.as_slice()) {
            (Some(around), path) => self.path(path, around)?,
            (None, [only]) => Objects::from([self.object(only)?]),
            (None, _) => return None,
        };
        self.found.extend(&root);
        let mut names = Names { root: root.clone(), known: Vec::new() };
        names.add(first, &root);
        for source in others {
            let objects = self.path(&source.path, &names)?;
            names.add(source, &objects);
        }
        for path in &select.paths {
            let (_, steps) = path.split_last()?;
            self.path(steps, &names)?;
        }
        for by in &select.by_type {
            self.resolved(&by.path, &names)?;
            for (object, paths) in &by.when {
                let root = Objects::from([self.object(object)?]);
                self.found.extend(&root);
                let of_type = Names { root, known: Vec::new() };
                for (_, steps) in paths.iter().filter_map(|path| path.split_last()).filter(|(_, steps)| !steps.is_empty()) {
                    self.path(steps, &of_type)?;
                }
            }
        }
        select.children.iter().try_for_each(|child| self.select(child, Some(&names)))?;
        select.joined.iter().try_for_each(|joined| self.select(joined, None))
    }

    /// Where a path of relationships leads; everything on the way is read.
    fn path(&mut self, steps: &[&str], names: &Names<'_>) -> Option<Objects> {
        let (objects, read) = self.resolved(steps, names)?;
        self.found.extend(read);
        Some(objects)
    }

    /// Where a path leads, and what is read on the way and there.
    fn resolved(&self, steps: &[&str], names: &Names<'_>) -> Option<(Objects, Objects)> {
        let (first, others) = steps.split_first()?;
        let source = names.find(first);
        let related = self.related(&names.root, first);
        let mut at: Objects = source.into_iter().chain(related.as_ref()).flatten().copied().collect();
        if source.is_none() && related.is_none() {
            return None;
        }
        let mut read = at.clone();
        for step in others {
            at = self.related(&at, step)?;
            read.extend(&at);
        }
        Some((at, read))
    }

    /// Where the relationship `name` of all these objects leads.
    fn related(&self, from: &Objects, name: &str) -> Option<Objects> {
        let mut to = Objects::new();
        for at in from {
            let (object, _) = self.soql.objects.get_index(*at)?;
            let own = self.soql.relationships.iter().find(|(known, _)| {
                known.split_once('.').is_some_and(|(of, known)| of.eq_ignore_ascii_case(object) && known.eq_ignore_ascii_case(name))
            });
            let of_all = || self.soql.relationships.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            match own.or_else(of_all) {
                Some((_, objects)) => to.extend(objects),
                None => drop(to.insert(self.object(name)?)),
            }
        }
        Some(to)
    }

    fn object(&self, name: &str) -> Option<usize> {
        self.soql.objects.keys().position(|known| known.eq_ignore_ascii_case(name))
    }
}

impl<'q> Names<'q> {
    fn add(&mut self, source: &Source<'q>, objects: &Objects) {
        let own = source.path.last().copied();
        self.known.extend(own.into_iter().chain(source.alias).map(|name| (name, objects.clone())));
    }

    fn find(&self, name: &str) -> Option<&Objects> {
        self.known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, objects)| objects)
    }
}
