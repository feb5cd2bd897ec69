//! Text to nodes: YAML and JSON, short tags made long, everything bounded.
//!
//! JSON is read by the same parser, being a subset of YAML's flow style, after a check that it is JSON at all: a text
//! that starts with `{` is answered in JSON's terms, as CloudFormation does.

use std::borrow::Cow;
use std::collections::BTreeSet;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::error::TemplateError;
use super::node::{Entry, Kind, Node, Position};

/// The longest `TemplateBody` (CloudFormation quotas, "Template body size in a request").
pub const MAX_INLINE_BYTES: usize = 51_200;
/// The longest template by URL (CloudFormation quotas, "Template body size in an Amazon S3 object").
pub const MAX_BYTES: usize = 1_048_576;
/// How deep collections nest; far more than any template needs, far less than a stack overflow takes.
pub const MAX_DEPTH: usize = 64;

/// Reads a template's text into nodes.
///
/// # Errors
/// Text that is no YAML or JSON, is longer than [`MAX_BYTES`], nests deeper than [`MAX_DEPTH`], repeats a key, uses an
/// alias, an unknown tag, or holds more than one document.
pub fn parse(text: &str) -> Result<Node, TemplateError> {
    if text.len() > MAX_BYTES {
        return Err(TemplateError::new(format!("Template may not exceed {MAX_BYTES} bytes in size.")));
    }
    if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return Reader::new(text).document();
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text.trim_start_matches('\u{feff}')) {
        Ok(_) => Reader::new(&join_surrogates(text)).document(),
        // A flow mapping is YAML too (`{Resources: …}`); what is neither is answered as JSON.
        Err(error) => Reader::new(text).document().map_err(|_| {
            let (line, column) = (error.line(), error.column());
            TemplateError::new(format!("Template format error: JSON not well-formed. (line {line}, column {column})"))
        }),
    }
}

/// JSON writes characters beyond the 16-bit plane as two escapes, YAML as one long escape.
fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('\\') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let taken = match surrogate_pair(rest) {
            Some(code) => {
                out.push_str(&format!("\\U{code:08X}"));
                12
            }
            // The escaped character goes with its backslash, so that `\\u` is not read as an escape.
            None => {
                let len = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                out.push_str(&rest[..len]);
                len
            }
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn surrogate_pair(text: &str) -> Option<u32> {
    let unit = |at: usize| -> Option<u32> {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(hex, 16).ok()
    };
    let (high, low) = (unit(0)?, unit(6)?);
    ((0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low))
        .then(|| 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
}

struct Reader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { events: Parser::new_from_str(text), depth: 0 }
    }

    fn document(mut self) -> Result<Node, TemplateError> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
                (event, span) if root.is_none() => root = Some(self.node(event, span)?),
                (_, span) => {
                    return Err(TemplateError::at(start(span), "Template format error: more than one document"));
                }
            }
        }
        root.ok_or_else(|| TemplateError::new("Template format error: unsupported structure."))
    }

    /// The next event. The parser repeats an error for ever, so the first one ends the reading.
    fn next(&mut self) -> Result<(Event<'a>, Span), TemplateError> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                Err(TemplateError::new(format!(
                    "Template format error: YAML not well-formed. (line {line}, column {column}): {}",
                    error.info()
                )))
            }
            None => Err(TemplateError::new("Template format error: YAML not well-formed.")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, TemplateError> {
        let at = start(span);
        let (tag, node) = match event {
            Event::Scalar(text, style, _, tag) => (tag, Node { at, kind: scalar(text, style) }),
            Event::SequenceStart(_, tag) => (tag, self.nested(at, Self::list)?),
            Event::MappingStart(_, tag) => (tag, self.nested(at, Self::map)?),
            // CloudFormation does not take anchors' aliases; refusing them also bounds what a short text can become.
            Event::Alias(_) => {
                return Err(TemplateError::at(
                    at,
                    "Template error: YAML aliases are not allowed in CloudFormation templates",
                ));
            }
            _ => return Err(TemplateError::at(at, "Template format error: unsupported structure.")),
        };
        match tag {
            Some(tag) => tagged(&tag, node),
            None => Ok(node),
        }
    }

    fn nested(
        &mut self,
        at: Position,
        read: impl FnOnce(&mut Self) -> Result<Kind, TemplateError>,
    ) -> Result<Node, TemplateError> {
        if self.depth == MAX_DEPTH {
            return Err(TemplateError::at(at, format!("Template format error: nested deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(Node { at, kind })
    }

    fn list(&mut self) -> Result<Kind, TemplateError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Kind::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Kind, TemplateError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = BTreeSet::new();
        loop {
            let (event, span) = self.next()?;
            let (key, at) = match event {
                Event::MappingEnd => return Ok(Kind::Map(entries)),
                Event::Scalar(key, ..) => (key.into_owned(), start(span)),
                _ => return Err(TemplateError::at(start(span), "Template format error: a key must be a string")),
            };
            if key == "<<" {
                return Err(TemplateError::at(
                    at,
                    "Template error: YAML merge keys are not allowed in CloudFormation templates",
                ));
            }
            if !seen.insert(key.clone()) {
                return Err(TemplateError::at(at, format!("Template format error: duplicate key [{key}]")));
            }
            let (event, span) = self.next()?;
            let value = self.node(event, span)?;
            entries.push(Entry { key, at, value });
        }
    }
}

fn start(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Kind {
    if style != ScalarStyle::Plain {
        return Kind::Text(text.into_owned());
    }
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        other => match other.parse::<serde_json::Number>() {
            Ok(number) if number.to_string() == other => Kind::Number(number),
            _ => Kind::Text(text.into_owned()),
        },
    }
}

/// A short tag is its long form: `!Ref x` is `{Ref: x}`, `!Sub x` is `{Fn::Sub: x}`.
fn tagged(tag: &Tag, node: Node) -> Result<Node, TemplateError> {
    let at = node.at;
    if tag.is_yaml_core_schema() {
        return match (tag.suffix.as_str(), node.scalar()) {
            ("str", Some(text)) => Ok(Node { at, kind: Kind::Text(text) }),
            ("str", None) if node.kind == Kind::Null => Ok(Node { at, kind: Kind::Text(String::new()) }),
            _ => Ok(node),
        };
    }
    let key = match tag.suffix.as_str() {
        "Ref" => "Ref".to_owned(),
        "Condition" => "Condition".to_owned(),
        // Whether these are declared is seen to when transforms are done.
        name @ ("Length" | "ToJsonString") => format!("Fn::{name}"),
        name if super::expr::FUNCTIONS.contains(&name) => format!("Fn::{name}"),
        "Transform" => return Err(TemplateError::at(at, "Template error: Fn::Transform is not supported")),
        name => {
            return Err(TemplateError::at(at, super::expr::unsupported_function(&format!("!{name}"))));
        }
    };
    // `!GetAtt a.b` keeps its dot: a logical id has none, so the first one splits.
    Ok(Node { at, kind: Kind::Map(vec![Entry { key, at, value: node }]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        parse(text).map_or_else(|error| error.to_string(), |node| node.to_json().to_string())
    }

    #[test]
    fn short_tags_become_long_forms_and_every_node_knows_its_place() {
        let node = parse("A: !Ref X\nB:\n  - !Sub 'a${X}'\n  - !GetAtt X.Arn\n").unwrap();
        assert_eq!(node.to_json().to_string(), r#"{"A":{"Ref":"X"},"B":[{"Fn::Sub":"a${X}"},{"Fn::GetAtt":"X.Arn"}]}"#);
        let second = &node.get("B").unwrap().list().unwrap()[1];
        assert_eq!(second.at, Position { line: 4, column: 5 });
    }

    #[test]
    fn numbers_that_would_lose_a_character_stay_text() {
        assert_eq!(
            json("[012345678901, 80, 0.5, 1e3, yes, 2010-09-09, '80', ~]"),
            r#"["012345678901",80,0.5,"1e3","yes","2010-09-09","80",null]"#
        );
    }

    #[test]
    fn json_is_read_with_its_tabs_escapes_and_surrogates() {
        assert_eq!(json("{\n\t\"a\": \"x\\/\\ud83d\\ude00\\\\u0041\"}"), r#"{"a":"x/😀\\u0041"}"#);
        assert_eq!(json("{\"a\": 1,\n \"b\" 2}"), "Template format error: JSON not well-formed. (line 2, column 6)");
    }

    #[test]
    fn what_is_not_well_formed_is_told_with_line_and_column() {
        assert!(json("a: [1,\nb: }").starts_with("Template format error: YAML not well-formed. (line 2, column 1)"));
        assert!(json("a: 1\n---\nb: 2").contains("more than one document (at line 3"));
        assert_eq!(json("a: 1\nb: 2\na: 3"), "Template format error: duplicate key [a] (at line 3, column 1)");
        assert!(json("a: &x 1\nb: *x").contains("aliases are not allowed"));
        assert!(json("a:\n  <<: {b: 1}").contains("merge keys are not allowed"));
        assert!(json("a: !Transform x").contains("Fn::Transform is not supported"));
        assert!(json("").contains("unsupported structure"));
        assert!(json(&format!("{}{}", "[".repeat(65), "]".repeat(65))).contains("nested deeper than 64 levels"));
        assert!(json(&"[".repeat(MAX_BYTES)).contains("not well-formed"));
        assert!(json(&"x".repeat(MAX_BYTES + 1)).contains("may not exceed"));
    }
}
