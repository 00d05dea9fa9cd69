use super::*;
use proptest::prelude::*;

fn laid_out(text: &str) -> String {
    match format("p.yaml", text) {
        Ok(made) => made,
        Err(why) => panic!("{why:?}\n{text}"),
    }
}

#[test]
fn blanks_levels_and_empty_lines_are_put_in_order_and_comments_stay() {
    let untidy = "\u{feff}# head\r\n\n\n---\nversion:     1  # kept\nconnectors:\n    crm:\n          # above\n          title:   \"A  B\"   \n          scopes: {a: {provider_scopes:   [x,y]},b:   }\n\n\n          operations:\n          -   id: one\n              match:\n              - GET /a\n              -     PUT /a\n              # below\n          - {id:   two, match: \"GET /b/{id}\"  , require:    a}   # why\n          # last of crm\n    other:\n        title: |\n             text\n               more\n        upstream: >-\n          https://a\nroles:\n    researcher:    {   allow: {crm: [ a ]  } }\n# end\n";
    let tidy = "# head\nversion: 1  # kept\nconnectors:\n  crm:\n    # above\n    title: \"A  B\"\n    scopes: {a: {provider_scopes: [x, y]}, b: }\n\n    operations:\n      - id: one\n        match:\n          - GET /a\n          - PUT /a\n        # below\n      - {id: two, match: \"GET /b/{id}\", require: a}  # why\n    # last of crm\n  other:\n    title: |\n      text\n        more\n    upstream: >-\n      https://a\nroles:\n  researcher: {allow: {crm: [a]}}\n# end\n";
    assert_eq!(laid_out(untidy), tidy);
    assert_eq!(laid_out(tidy), tidy);
}

#[test]
fn brackets_over_several_lines_stay_as_they_are() {
    let text = "version: 1\nroles: {\n  # the first\n  reader: {allow: {crm: [a]}},   \n  boss: {\n    extends: reader }\n}\ntests:\n  - name: plain text that\n      goes on\n    role: \"quoted\n      too\"\n    requests: [a: b, \"c\" : d]\n";
    let made = laid_out(text);
    assert_eq!(made, text.replace("}},   \n", "}},\n").replace("\"c\" : d", "\"c\": d"));
}

#[test]
fn blocks_of_text_keep_every_character_of_theirs() {
    for (text, made) in [
        ("a: |  # why > so\n        one\n          two  \n\n        three\n\n\nb: 1\n", "a: |  # why > so\n  one\n    two  \n\n  three\n\nb: 1\n"),
        ("a:\n   b: |2\n       x\n      y\n", "a:\n  b: |2\n      x\n     y\n"),
        ("a:\n- |+\n    x\n\n\n- >-\n      y\n", "a:\n  - |+\n    x\n\n\n  - >-\n    y\n"),
        ("a: |-\nb: |\n\n     \"x\"\n", "a: \"\"\nb: |\n\n  \"x\"\n"),
        ("- x |\n-    \"q\"\n", "- x |\n- \"q\"\n"),
    ] {
        assert_eq!(laid_out(text), made, "{text}");
    }
}

#[test]
fn what_holds_only_comments_or_nothing_stays() {
    for (text, made) in [
        ("", ""),
        ("\n\n", ""),
        ("# a  \n\n#b", "# a\n\n#b\n"),
        ("{}", "{}\n"),
        ("{\"version\":1,\"roles\":{}}", "{\"version\": 1, \"roles\": {}}\n"),
    ] {
        assert_eq!(laid_out(text), made, "{text}");
    }
}

#[test]
fn a_text_with_mistakes_is_left_alone() {
    for text in ["a: [b", "a: 1\na: 2", "a: &x 1\nb: *x", "a: 1\n---\nb: 2"] {
        assert!(matches!(format("p.yaml", text), Err(Unformatted::Faulty(found)) if !found.is_empty()), "{text}");
    }
}

#[test]
fn the_languages_own_pages_are_in_order() {
    let pages = crate::policy::REFERENCE.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    for page in pages {
        let made = laid_out(page);
        assert_eq!(laid_out(&made), made);
    }
}

/// Documents of any layout: levels, brackets, quotes, comments and blank lines as the numbers say.
fn untidy(numbers: &mut std::vec::IntoIter<u8>, depth: usize, column: usize, made: &mut String) {
    fn next(numbers: &mut std::vec::IntoIter<u8>, below: u8) -> usize {
        usize::from(numbers.next().unwrap_or_default() % below)
    }
    let scalars = ["a", "\"q # q\"", "'it''s'", "1", "~", "a#b", "x y", "\"a\\nb\"", "https://a.b/{c}"];
    let flows = ["{}", "[ ]", "[a,b ,  c]", "{a:  b,c: [d]}", "{ a: , b: }", "[\n{pad}a, # c\n{pad}b ]", "{a: b,\n{pad} c: d}"];
    let blocks = ["|\n{pad}text # no comment\n\n{pad}  more", ">-\n{pad}folded\n{pad}text"];
    let entries = 1 + next(numbers, 3);
    let is_list = depth > 0 && next(numbers, 3) == 0;
    let step = 1 + next(numbers, 4);
    for number in 0..entries {
        let pad = " ".repeat(column);
        for _ in 0..next(numbers, 3) {
            made.push('\n');
        }
        if next(numbers, 4) == 0 {
            made.push_str(&format!("{}# note {number}  \n", " ".repeat(column + next(numbers, 3))));
        }
        made.push_str(&pad);
        let head = if is_list { "-".to_owned() } else { format!("k{number}:") };
        made.push_str(&head);
        let inner = " ".repeat(column + step + 3);
        match next(numbers, 8) {
            0..=2 => made.push_str(&format!("{}{}", " ".repeat(1 + next(numbers, 3)), scalars[next(numbers, 9)])),
            3 => made.push_str(&format!(" {}", flows[next(numbers, 7)].replace("{pad}", &inner))),
            4 => {
                made.push_str(&format!(" {}\n", blocks[next(numbers, 2)].replace("{pad}", &inner)));
                continue;
            }
            5 => {}
            _ if depth < 4 => {
                if next(numbers, 3) == 0 {
                    made.push_str("  # behind");
                }
                made.push('\n');
                untidy(numbers, depth + 1, column + step, made);
                continue;
            }
            _ => made.push_str(" deep"),
        }
        if next(numbers, 4) == 0 {
            made.push_str("   # behind   ");
        }
        made.push('\n');
    }
}

proptest! {
    #[test]
    fn every_layout_comes_out_tidy_and_says_the_same(numbers in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut text = String::new();
        untidy(&mut numbers.into_iter(), 0, 0, &mut text);
        let made = laid_out(&text);
        prop_assert_eq!(laid_out(&made), made.clone(), "{}", text);
        prop_assert!(made.lines().all(|line| line == line.trim_end()), "{}", made);
    }
}
