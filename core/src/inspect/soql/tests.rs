use super::*;
use crate::inspect::{Tape, tapes};
use proptest::prelude::*;

/// What a query reads, shortly: `FROM path alias | paths | (children) | [joined] | TYPEOF`.
fn shown(select: &Select<'_>) -> String {
    let from: Vec<_> = select
        .from
        .iter()
        .map(|source| [Some(source.path.join(".")), source.alias.map(str::to_owned)].into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    let mut text = from.join(",");
    select.paths.iter().for_each(|path| text += &format!(" {}", path.join(".")));
    for by in &select.by_type {
        text += &format!(" {}?", by.path.join("."));
        for (object, paths) in &by.when {
            text += &format!("{object}:{};", paths.iter().map(|path| path.join(".")).collect::<Vec<_>>().join(","));
        }
    }
    select.children.iter().for_each(|child| text += &format!(" ({})", shown(child)));
    select.joined.iter().for_each(|joined| text += &format!(" [{}]", shown(joined)));
    text
}

#[test]
fn everything_that_a_query_reads_comes_out() {
    for (text, read) in [
        ("SELECT Id FROM Account", "Account"),
        ("select id, name from account a where a.name = 'x'", "account a a.name"),
        ("SELECT Id\n\tFROM\r\n Opportunity\tWHERE Name='x'", "Opportunity"),
        ("SELECT Id FROM Account WHERE Name = 'O\\'Hara & FROM Opportunity' LIMIT 5", "Account"),
        ("SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity WHERE Owner.Name LIKE 'A%')", "Account [Opportunity Owner.Name]"),
        ("SELECT Id FROM Account WHERE NOT Id NOT IN (SELECT AccountId FROM Case) OR (A = 1 AND B IN ('x',2,NULL))", "Account [Case]"),
        ("SELECT Id, (SELECT Id, (SELECT Id FROM Tasks) FROM Contacts c ORDER BY c.Name) FROM Account", "Account (Contacts c c.Name (Tasks))"),
        (
            "SELECT Account.Owner.Name n, toLabel(Status) FROM Case GROUP BY Account.Type HAVING COUNT(Parent.Id) > 1",
            "Case Account.Owner.Name Account.Type Parent.Id",
        ),
        ("SELECT COUNT() FROM Contact c, c.Account a, a.Owner WHERE a.Name = 'x'", "Contact c,c.Account a,a.Owner a.Name"),
        ("SELECT FIELDS(ALL), FORMAT(MIN(Account.Amount)) m FROM Order AS o LIMIT 200 OFFSET 1", "Order o Account.Amount"),
        (
            "SELECT TYPEOF What WHEN Account THEN Phone, Owner.Name WHEN Opportunity THEN Amount ELSE Name, Owner.Id END, Id FROM Event",
            "Event What.Name What.Owner.Id What?Account:Phone,Owner.Name;Opportunity:Amount;",
        ),
        ("SELECT TYPEOF A.What WHEN X THEN FIELDS(STANDARD) END FROM Event", "Event A.What?X:FIELDS;"),
        (
            "SELECT Id FROM Account USING SCOPE mine WHERE CreatedDate > LAST_N_DAYS:30 AND D = 2026-01-31T10:00:00.000+01:00 AND N < -1.5e3",
            "Account",
        ),
        ("SELECT Title FROM FAQ__kav WITH DATA CATEGORY Geo__c AT usa__c AND P__c ABOVE_OR_BELOW (a__c, b__c)", "FAQ__kav"),
        ("SELECT Id FROM A WITH SECURITY_ENFORCED WITH RecordVisibilityContext (max=100, deep=true)", "A"),
        (
            "SELECT Id FROM Group GROUP BY ROLLUP(Type, Owner.Name) ORDER BY Type DESC NULLS LAST, DISTANCE(L__c, GEOLOCATION(1,-2.5), 'mi')",
            "Group Owner.Name",
        ),
        ("SELECT Id FROM A WHERE X INCLUDES ('a;b','c') AND Y EXCLUDES ('d') FOR VIEW FOR REFERENCE UPDATE TRACKING, VIEWSTAT ALL ROWS", "A"),
        ("SELECT Id FROM A WHERE B = '\\u00e9 -- /* \\\\' FOR UPDATE", "A"),
    ] {
        assert_eq!(Select::read(text).map(|select| shown(&select)), Ok(read.to_owned()), "{text}");
    }
}

#[test]
fn what_is_no_plain_query_is_refused() {
    for text in [
        "",
        " ",
        "hello",
        "SELECT Id FROM",
        "SELECT FROM",
        "SELECT Id FROM Account;",
        "SELECT Id FROM Account; SELECT Id FROM Account",
        "SELECT Id FROM Account SELECT Id FROM Account",
        "SELECT Id FROM Account -- x",
        "SELECT Id /* x */ FROM Account",
        "SELECT Id FROM Account // x",
        "SELECT Id FROM Account # x",
        "SELECT * FROM Account",
        "SELECT Id FROM Account WHERE Id = :id",
        "SELECT Id FROM Account WHERE Id IN :ids",
        "SELECT Id FROM Account WHERE Name = \"x\"",
        "SELECT Id FROM Account WHERE Name = 'x",
        "SELECT Id FROM Account WHERE Name = 'x\\'",
        "SELECT Id FROM Account WHERE Name = 'a\nb'",
        "SELECT Id FROM Account WHERE Name = '\\x'",
        "SELECT Id FROM Account WHERE Name = '\\u00g0'",
        "SELECT Id FROM Account WHERE Name = Owner.Name",
        "SELECT Id FROM Account WHERE Name NOT LIKE 'x'",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE (Name = 'x'",
        "SELECT Id FROM Account WHERE Name = 'x')",
        "SELECT Id FROM Account WHERE Name = 5-3",
        "SELECT Id FROM Account WHERE Name = 5x",
        "SELECT Id FROM Account WITH Anything",
        "SELECT Id FROM Account USING SCOPE other",
        "SELECT Id, FROM Account",
        "SELECT Id FROM Account,",
        "SELECT Id FROM Account AS",
        "SELECT Id FROM (SELECT Id FROM Account)",
        "SELECT Id FROM Account LIMIT x",
        "SELECT Account. Name FROM Contact",
        "SELECT Account..Name FROM Contact",
        "SELECT .Name FROM Contact",
        "SELECT A.f(Id) FROM Contact",
        "SELECT TYPEOF What ELSE Name END FROM Event",
        "SELECT TYPEOF What WHEN Account THEN Phone FROM Event",
        "SELECT Id\u{a0}FROM Account",
        "SELECT Id FROM Acc\u{f6}unt",
        "SELECT Id FROM Account\0",
        "FIND {x} IN ALL FIELDS RETURNING Account(Id)",
        "DELETE FROM Account",
    ] {
        assert_eq!(Select::read(text), Err(SYNTAX), "{text}");
    }
    let nested = |depth: usize| format!("SELECT Id FROM A WHERE {}A = 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Select::read(&nested(20)).is_ok());
    assert_eq!(Select::read(&nested(21)), Err(LARGE));
    assert_eq!(Select::read(&nested(100_000)), Err(LARGE));
    assert_eq!(Select::read(&format!("SELECT {}Id FROM A", "Id, ".repeat(10_000))), Err(LARGE));
}

/// Writes a query, and what it reads as it goes.
struct Writer {
    tape: Tape,
    text: String,
}

const NAMES: [&str; 6] = ["Account", "Owner", "Order__c", "x1", "Parent__r", "Group"];

impl Writer {
    fn say(&mut self, word: &str) {
        let blank = self.tape.one(&[" ", "\n", " \t", "  \r\n"]);
        let spelled = if self.tape.once_in(2) { word.to_ascii_lowercase() } else { word.to_owned() };
        self.text += &format!("{blank}{spelled}");
    }

    fn path(&mut self, steps: usize) -> Vec<&'static str> {
        let path: Vec<&str> = (0..steps).map(|_| self.tape.one(&NAMES)).collect();
        self.text += &format!(" {}", path.join("."));
        path
    }

    fn select(&mut self, depth: usize) -> Select<'static> {
        let mut made = Select::default();
        self.say("SELECT");
        for item in 0..=self.tape.below(3) {
            self.text += if item > 0 { "," } else { "" };
            match self.tape.below(if depth > 0 { 5 } else { 3 }) {
                0 => self.field(&mut made),
                1 => {
                    self.text += " COUNT( ";
                    self.field(&mut made);
                    self.text += ",'SELECT Id FROM Hidden')";
                }
                2 => {
                    self.field(&mut made);
                    self.text += " alias";
                }
                3 => self.by_type(&mut made),
                _ => {
                    self.text += " (";
                    let child = self.select(depth - 1);
                    made.children.push(child);
                    self.text += ")";
                }
            }
        }
        self.say("FROM");
        for item in 0..=self.tape.below(2) {
            self.text += if item > 0 { " ," } else { "" };
            let steps = self.tape.below(2) + 1;
            let path = self.path(steps);
            let alias = self.tape.one(&[None, Some("a"), Some("Opportunity")]);
            self.text += &alias.map(|alias| format!(" {alias}")).unwrap_or_default();
            made.from.push(Source { path, alias });
        }
        if self.tape.once_in(2) {
            self.say("WHERE");
            self.condition(&mut made, depth);
        }
        for clause in ["GROUP BY", "ORDER BY"] {
            if self.tape.once_in(3) {
                clause.split(' ').for_each(|word| self.say(word));
                self.field(&mut made);
            }
        }
        if self.tape.once_in(3) {
            self.say("LIMIT");
            self.text += " 7";
        }
        made
    }

    fn field(&mut self, into: &mut Select<'static>) {
        let steps = self.tape.below(4) + 1;
        let path = self.path(steps);
        if path.len() > 1 {
            into.paths.push(path);
        }
    }

    fn by_type(&mut self, into: &mut Select<'static>) {
        self.say("TYPEOF");
        let steps = self.tape.below(2) + 1;
        let path = self.path(steps);
        self.say("WHEN");
        let object = self.path(1)[0];
        self.say("THEN");
        let then = self.tape.below(2) + 1;
        let fields = self.path(then);
        if self.tape.once_in(2) {
            self.say("ELSE");
            let steps = self.tape.below(2) + 1;
            let fields = self.path(steps);
            into.paths.push([path.as_slice(), &fields].concat());
        }
        self.say("END");
        into.by_type.push(ByType { path, when: vec![(object, vec![fields])] });
    }

    fn condition(&mut self, into: &mut Select<'static>, depth: usize) {
        match self.tape.below(if depth > 0 { 5 } else { 2 }) {
            0 => {
                self.field(into);
                self.text +=
                    self.tape.one(&["= 'x'", "!=TODAY", " < LAST_N_DAYS:3", "<> 'it\\'s FROM x (SELECT'", " LIKE '%'", ">=-1.5", " IN (1,null)"]);
            }
            1 => {
                self.field(into);
                self.text += " INCLUDES('a;b')";
            }
            2 => {
                self.say("NOT");
                self.text += "(";
                self.condition(into, depth - 1);
                self.text += ")";
            }
            3 => {
                self.condition(into, depth - 1);
                let word = self.tape.one(&["AND", "OR"]);
                self.say(word);
                self.condition(into, depth - 1);
            }
            _ => {
                self.field(into);
                let not = self.tape.one(&["", " NOT"]);
                self.text += &format!("{not} IN ( ");
                let joined = self.select(depth - 1);
                into.joined.push(joined);
                self.text += ")";
            }
        }
    }
}

proptest! {
    #[test]
    fn what_was_written_into_a_query_is_what_is_read_from_it(tape in tapes()) {
        let mut writer = Writer { tape, text: String::new() };
        let written = writer.select(3);
        prop_assert_eq!(Select::read(&writer.text), Ok(written), "{}", writer.text);
    }

    #[test]
    fn a_query_that_is_cut_or_broken_reads_no_less(tape in tapes(), at in any::<prop::sample::Index>(), put in "[-;*#:()', A-Za-z0-9.]{0,3}") {
        let mut writer = Writer { tape, text: String::new() };
        writer.select(2);
        let at = at.index(writer.text.len());
        let (before, behind) = writer.text.split_at(at);
        let text = format!("{before}{put}{behind}");
        if let Ok(select) = Select::read(&text) {
            // Whoever looks for FROM outside of quotes finds what was read, behind each of them.
            let plain: String = outside_of_quotes(&text);
            let words: Vec<&str> = plain.split(|character: char| !character.is_ascii_alphanumeric() && !matches!(character, '_' | '.')).filter(|word| !word.is_empty()).collect();
            let mut behind: Vec<String> = words.windows(2).filter(|two| two[0].eq_ignore_ascii_case("from")).map(|two| two[1].to_owned()).collect();
            let mut read = first_sources(&select);
            behind.sort();
            read.sort();
            prop_assert_eq!(behind, read, "{}", text);
            prop_assert!(!plain.contains([';', '*', '#']), "{}", text);
        }
    }
}

/// What stands first behind each FROM.
fn first_sources(select: &Select<'_>) -> Vec<String> {
    let own = select.from.iter().take(1).map(|source| source.path.join("."));
    own.chain(select.children.iter().chain(&select.joined).flat_map(first_sources)).collect()
}

fn outside_of_quotes(text: &str) -> String {
    let mut inside = false;
    let mut escaped = false;
    let mut made = String::new();
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '\'' => inside = !inside,
            character if !inside => made.push(character),
            _ => {}
        }
    }
    made
}
