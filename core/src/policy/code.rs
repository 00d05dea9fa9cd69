//! The codes of findings. A code means the same for ever; `reference.md` lists them all.

use super::diagnostic::Severity;

/// One kind of finding.
#[derive(Debug)]
pub struct Code {
    /// `SG` and four digits.
    pub id: &'static str,
    /// Whether it keeps the set from being used.
    pub severity: Severity,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $id:literal $severity:ident;)+) => {
        $($(#[$doc])* pub(crate) static $name: Code = Code { id: $id, severity: Severity::$severity };)+

        /// All of them, in order.
        #[cfg(test)]
        pub(crate) static ALL: &[&Code] = &[$(&$name,)+];
    };
}

codes! {
    /// A text that is no YAML.
    SYNTAX = "SG0001" Error;
    /// A key that stands twice in one mapping.
    KEY_TWICE = "SG0002" Error;
    /// Anchors, aliases, merge keys, tags.
    ALIAS = "SG0003" Error;
    /// More than one document in a file.
    DOCUMENTS = "SG0004" Error;
    /// A key that is no text.
    KEY_KIND = "SG0005" Error;

    /// A key that the language does not have there.
    UNKNOWN_KEY = "SG0101" Error;
    /// A key that must be there.
    MISSING_KEY = "SG0102" Error;
    /// A list where a text is expected, and so on.
    WRONG_KIND = "SG0103" Error;
    /// A word that is not one of those that may stand there.
    UNKNOWN_WORD = "SG0104" Error;
    /// No `version: 1`.
    VERSION = "SG0105" Error;
    /// Keys that exclude each other.
    CONFLICT = "SG0106" Error;
    /// A name that breaks the rule of its kind.
    INVALID_NAME = "SG0107" Error;
    /// A list or mapping that must hold something.
    EMPTY = "SG0108" Error;
    /// Something besides tests in a file of cases.
    CASES_ONLY = "SG0109" Error;
    /// A number, duration or status that is none, or out of range.
    INVALID_NUMBER = "SG0110" Error;

    /// A connector that stands twice.
    CONNECTOR_TWICE = "SG0201" Error;
    /// `base: catalog` where nothing of that name is shipped.
    NO_BASE = "SG0202" Error;
    /// A text whose braces do not enclose a name.
    INVALID_TEMPLATE = "SG0203" Error;
    /// A variable that the connector does not declare.
    UNKNOWN_VARIABLE = "SG0204" Error;
    /// A variable without a rule for its values.
    NO_RULE = "SG0205" Error;
    /// A default that the variable's own rule refuses, or a rule that cannot be met.
    RULE_UNMET = "SG0206" Error;
    /// A variable whose value is not there yet when it is needed, or can never come.
    VARIABLE_LATE = "SG0207" Error;
    /// A text that makes no URL of the kind that is needed.
    INVALID_URL = "SG0208" Error;
    /// A URL whose host an account could choose freely.
    FREE_HOST = "SG0209" Error;
    /// A header that no connector may name there.
    FORBIDDEN_HEADER = "SG0210" Error;
    /// A text that is no JSON pointer.
    INVALID_POINTER = "SG0211" Error;
    /// A placeholder that no refusal fills.
    UNKNOWN_PLACEHOLDER = "SG0212" Error;
    /// Settings for a connector or host that no document names.
    OVERRIDE_UNUSED = "SG0213" Warning;

    /// A scope that the connector does not declare.
    UNKNOWN_SCOPE = "SG0301" Error;
    /// A requirement that grows beyond all use.
    TOO_MANY_ALTERNATIVES = "SG0302" Error;

    /// A scope that no role allows.
    NEVER_ALLOWED = "SG0303" Warning;

    /// A match without a method.
    NO_METHOD = "SG0401" Error;
    /// A method that is none, or that is never forwarded.
    INVALID_METHOD = "SG0402" Error;
    /// A method that looks like a slip of the pen.
    ODD_METHOD = "SG0403" Warning;
    /// A path template that is none.
    INVALID_PATH = "SG0404" Error;
    /// An operation that does not say what it needs.
    NO_NEED = "SG0405" Error;
    /// An operation id that stands twice in a connector.
    OPERATION_TWICE = "SG0406" Error;
    /// Operations of identical shape that say different things.
    SAME_SHAPE = "SG0407" Error;
    /// Operations of identical shape that say the same.
    SAME_OPERATION = "SG0408" Warning;
    /// A host that the connector does not declare.
    UNKNOWN_HOST = "SG0409" Error;
    /// A parameter that the path template does not have.
    UNKNOWN_PARAMETER = "SG0410" Error;
    /// A condition on a body that such a request never carries.
    NEVER_MET = "SG0411" Warning;
    /// A writing operation that a reading scope satisfies.
    WRITE_BY_READ = "SG0413" Warning;
    /// An object that `objects` does not name.
    UNKNOWN_OBJECT = "SG0414" Error;
    /// A parameter whose values nothing lists.
    UNKNOWN_NAMES = "SG0415" Error;
    /// Names that grow to more operations than any API has.
    TOO_MANY_NAMES = "SG0416" Error;
    /// An operation that no role can do.
    UNREACHABLE = "SG0417" Warning;

    /// A connector that no document names.
    UNKNOWN_CONNECTOR = "SG0501" Error;
    /// A role that no document names.
    UNKNOWN_ROLE = "SG0502" Error;
    /// Roles that extend each other in a circle.
    ROLE_CYCLE = "SG0503" Error;
    /// An operation that the connector does not have.
    UNKNOWN_OPERATION = "SG0504" Error;
    /// A glob that reaches nothing.
    GLOB_REACHES_NOTHING = "SG0505" Warning;
    /// A role that stands twice.
    ROLE_TWICE = "SG0506" Error;
    /// A role that can do nothing.
    IDLE_ROLE = "SG0507" Warning;
    /// A scope of a role whose operations are all denied.
    SHADOWED = "SG0508" Warning;
    /// A wildcard that holds what an operation of `risk: capability` needs, and does not reach it.
    WILDCARD_TO_CAPABILITY = "SG0509" Warning;

    /// A line of a test that cannot be read.
    INVALID_CASE = "SG0601" Error;

    /// Something that looks like a secret.
    SECRET = "SG0701" Warning;
}
