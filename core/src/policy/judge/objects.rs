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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Tape, tapes};
    use proptest::prelude::*;

    /// Objects `Account`, `Contact`, `Case` and `User`, and where relationships lead.
    fn soql() -> Soql {
        let objects = ["Account", "Contact", "Case", "User"].map(|name| (name.to_owned(), vec![vec![]]));
        let relationships = [("Contacts", &[1][..]), ("Owner", &[3]), ("Case.Owner", &[3, 0]), ("Parent", &[0]), ("Cases", &[2])];
        Soql {
            place: crate::policy::content::QueryPlace::Parameter("q".into()),
            objects: objects.into_iter().collect(),
            relationships: relationships.map(|(name, to)| (name.to_owned(), to.to_vec())).into(),
        }
    }

    fn read(text: &str) -> Option<String> {
        let soql = soql();
        let found = read_by(&Select::read(text).unwrap(), &soql)?;
        Some(found.iter().map(|at| soql.objects.get_index(*at).unwrap().0.as_str()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_query_reads_every_object_that_it_names_or_reaches() {
        for (text, objects) in [
            ("SELECT Id FROM Account", Some("Account")),
            ("SELECT Id FROM aCCOUNT a WHERE A.name = 'x'", Some("Account")),
            ("SELECT Id, Owner.Name FROM Account", Some("Account User")),
            ("SELECT Id, Owner.Name FROM Case", Some("Account Case User")),
            ("SELECT Account.Owner.Name FROM Contact", Some("Account Contact User")),
            ("SELECT Account.Name FROM Account", Some("Account")),
            ("SELECT Contact.Name FROM Account Contact", Some("Account Contact")),
            ("SELECT (SELECT Id FROM Contacts), (SELECT Id FROM a.Cases) FROM Account a", Some("Account Contact Case")),
            ("SELECT (SELECT Owner.Id, Contacts.Id FROM Contacts) FROM Account", Some("Account Contact User")),
            ("SELECT (SELECT (SELECT Id FROM Cases) FROM Contacts) FROM Account", Some("Account Contact Case")),
            ("SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact WHERE Parent.X = 1)", Some("Account Contact")),
            ("SELECT COUNT() FROM Contact c, c.Account a, a.Owner WHERE a.Name = 'x'", Some("Account Contact User")),
            ("SELECT TYPEOF Owner WHEN User THEN Id END FROM Case", Some("Case User")),
            ("SELECT TYPEOF Owner WHEN User THEN Id, Parent.Id ELSE Id END FROM Case", Some("Account Case User")),
            ("SELECT Id FROM Contract", None),
            ("SELECT Opportunity.Name FROM Account", None),
            ("SELECT Contract.Owner.Name FROM Account", None),
            ("SELECT Owner.Profile.Name FROM Account", None),
            ("SELECT (SELECT Id FROM Opportunities) FROM Account", None),
            ("SELECT Id FROM Account.Contacts", None),
            ("SELECT Id FROM Contacts", None),
            ("SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contract)", None),
            ("SELECT Id FROM Account WHERE Id IN (SELECT Id FROM Contacts)", None),
            ("SELECT TYPEOF Owner WHEN Group THEN Id END FROM Case", None),
            ("SELECT TYPEOF What WHEN User THEN Id END FROM Case", None),
            ("SELECT (SELECT a.Name FROM Contacts) FROM Account a", None),
            ("SELECT Id FROM Contact ORDER BY Opportunity.Name", None),
        ] {
            assert_eq!(read(text).as_deref(), objects, "{text}");
        }
    }

    /// Writes a query about what it means, and notes each object as it does.
    struct Writer {
        tape: Tape,
        read: Objects,
    }

    /// From an object by a relationship to objects: the table above, by hand.
    const LEADS: [&[(&str, &[usize])]; 4] = [
        &[("Owner", &[3]), ("Parent", &[0]), ("contacts", &[1]), ("Cases", &[2]), ("User", &[3])],
        &[("account", &[0]), ("Owner", &[3]), ("Cases", &[2])],
        &[("OWNER", &[3, 0]), ("Parent", &[0]), ("Contact", &[1])],
        &[("Owner", &[3]), ("Account", &[0])],
    ];

    impl Writer {
        /// A path of relationships from this object, in front of a field, and where it leads.
        fn steps(&mut self, from: usize, count: usize) -> (Vec<&'static str>, usize) {
            let (mut steps, mut at) = (Vec::new(), from);
            for _ in 0..count {
                let (name, to) = self.tape.one(LEADS[at]);
                if to.len() > 1 {
                    break; // from there on the path would have to be one of all of them
                }
                steps.push(name);
                self.read.extend(to);
                at = to[0];
            }
            (steps, at)
        }

        fn field(&mut self, from: usize, called: &str) -> String {
            let count = self.tape.below(4);
            let (mut steps, _) = self.steps(from, count);
            if self.tape.once_in(3) {
                steps.insert(0, "?");
            }
            steps.push("Id");
            steps.join(".").replace('?', called)
        }

        fn select(&mut self, object: usize, source: &str, depth: usize) -> String {
            self.read.insert(object);
            let alias = self.tape.one(&["", "z", "AS z"]);
            let called = if alias.is_empty() { source.rsplit('.').next().unwrap().to_owned() } else { "Z".to_owned() };
            let mut list = vec![self.field(object, &called)];
            if depth > 0 && self.tape.once_in(2) {
                let (name, to) = self.tape.one(LEADS[object]);
                if let [to] = to {
                    list.push(format!("({})", self.select(*to, name, depth - 1)));
                }
            }
            if depth > 0 && self.tape.once_in(3) {
                let (name, _) = self.tape.one(LEADS[object]);
                let of_type = self.tape.below(4);
                self.read.insert(of_type);
                let then = self.tape.below(3);
                let (mut then, _) = self.steps(of_type, then);
                then.push("Id");
                list.push(format!("TYPEOF {name} WHEN {} THEN {} END", ["Account", "contact", "Case", "USER"][of_type], then.join(".")));
            }
            let mut text = format!("SELECT {} FROM {source} {alias}", list.join(", "));
            if depth > 0 && self.tape.once_in(2) {
                let joined = self.tape.below(4);
                let inner = self.select(joined, ["Account", "contact", "Case", "USER"][joined], depth - 1);
                text += &format!(" WHERE Id IN ({inner}) OR {} = 'FROM Contract'", self.field(object, &called));
            }
            text + &format!(" ORDER BY {}", self.field(object, &called))
        }
    }

    proptest! {
        #[test]
        fn the_objects_that_a_query_is_about_are_those_that_it_reads(tape in tapes()) {
            let mut writer = Writer { tape, read: Objects::new() };
            let object = writer.tape.below(4);
            let text = writer.select(object, ["Account", "contact", "Case", "USER"][object], 3);
            let found = read_by(&Select::read(&text).unwrap(), &soql());
            prop_assert_eq!(found, Some(writer.read), "{}", text);
        }
    }
}
