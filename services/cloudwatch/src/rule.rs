//! The rule language of composite alarms: states of other alarms, joined by AND, OR, NOT and parentheses.
//!
//! Reference: PutCompositeAlarm, `AlarmRule`.

use std::collections::BTreeSet;

use crate::model::AlarmState;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `TRUE`, `FALSE`
    Constant(bool),
    /// `ALARM(name)`, `OK(name)`, `INSUFFICIENT_DATA(name)`
    Is(AlarmState, String),
    /// `AND`
    And(Box<Rule>, Box<Rule>),
    /// `OR`
    Or(Box<Rule>, Box<Rule>),
    /// `NOT`
    Not(Box<Rule>),
}

/// How deep parentheses and NOTs go: far more than a rule of 100 alarms needs.
const DEEPEST: usize = 100;

impl Rule {
    /// Reads a rule.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Rule, String> {
        let mut reader = Reader { rest: text, depth: 0 };
        let rule = reader.or()?;
        match reader.rest.trim_start() {
            "" => Ok(rule),
            left => Err(format!("unexpected '{}'", left.chars().take(20).collect::<String>())),
        }
    }

    /// The alarms whose states it asks for.
    pub fn names(&self) -> BTreeSet<String> {
        match self {
            Rule::Constant(_) => BTreeSet::new(),
            Rule::Is(_, name) => [name.clone()].into(),
            Rule::Not(inner) => inner.names(),
            Rule::And(left, right) | Rule::Or(left, right) => {
                let mut names = left.names();
                names.extend(right.names());
                names
            }
        }
    }

    /// Whether it holds; `state` gives an alarm's state, and nothing for one that is gone.
    pub fn holds(&self, state: &dyn Fn(&str) -> Option<AlarmState>) -> bool {
        match self {
            Rule::Constant(truth) => *truth,
            Rule::Is(wanted, name) => state(name) == Some(*wanted),
            Rule::And(left, right) => left.holds(state) && right.holds(state),
            Rule::Or(left, right) => left.holds(state) || right.holds(state),
            Rule::Not(inner) => !inner.holds(state),
        }
    }
}

/// AND binds closer than OR, NOT closer than both.
struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn or(&mut self) -> Result<Rule, String> {
        let mut rule = self.and()?;
        while self.word("OR") {
            rule = Rule::Or(Box::new(rule), Box::new(self.and()?));
        }
        Ok(rule)
    }

    fn and(&mut self) -> Result<Rule, String> {
        let mut rule = self.one()?;
        while self.word("AND") {
            rule = Rule::And(Box::new(rule), Box::new(self.one()?));
        }
        Ok(rule)
    }

    fn one(&mut self) -> Result<Rule, String> {
        if self.depth == DEEPEST {
            return Err("it is nested too deep".to_owned());
        }
        self.depth += 1;
        let rule = self.operand();
        self.depth -= 1;
        rule
    }

    fn operand(&mut self) -> Result<Rule, String> {
        if self.word("NOT") {
            return Ok(Rule::Not(Box::new(self.one()?)));
        }
        if self.sign('(') {
            let inner = self.or()?;
            return if self.sign(')') { Ok(inner) } else { Err("a closing parenthesis is missing".to_owned()) };
        }
        for (word, truth) in [("TRUE", true), ("FALSE", false)] {
            if self.word(word) {
                return Ok(Rule::Constant(truth));
            }
        }
        for state in [AlarmState::Alarm, AlarmState::Ok, AlarmState::InsufficientData] {
            if self.word(state.as_str()) {
                let name =
                    if self.sign('(') { self.name()? } else { return Err("an alarm's name is missing".to_owned()) };
                return if self.sign(')') {
                    Ok(Rule::Is(state, name))
                } else {
                    Err("a closing parenthesis is missing".to_owned())
                };
            }
        }
        let left: String = self.rest.trim_start().chars().take(20).collect();
        Err(if left.is_empty() { "it ends too early".to_owned() } else { format!("unexpected '{left}'") })
    }

    /// A word on its own; in capital letters, as AWS wants it.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(word) {
            Some(after) if !after.starts_with(|c: char| c.is_alphanumeric() || c == '_') => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    fn sign(&mut self, sign: char) -> bool {
        match self.rest.trim_start().strip_prefix(sign) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    /// A name in quotes, or up to the closing parenthesis; an ARN gives the name it ends with.
    fn name(&mut self) -> Result<String, String> {
        let rest = self.rest.trim_start();
        let (name, after) = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                rest[1..].split_once(quote).ok_or_else(|| "a closing quote is missing".to_owned())?
            }
            _ => {
                let end = rest.find(')').ok_or_else(|| "a closing parenthesis is missing".to_owned())?;
                (rest[..end].trim_end(), &rest[end..])
            }
        };
        self.rest = after;
        let name = if name.starts_with("arn:") { name.splitn(7, ':').last().unwrap_or(name) } else { name };
        if name.is_empty() { Err("an alarm's name is missing".to_owned()) } else { Ok(name.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(text: &str) -> bool {
        let state = |name: &str| match name {
            "a" | "a b" => Some(AlarmState::Alarm),
            "o" => Some(AlarmState::Ok),
            "i" => Some(AlarmState::InsufficientData),
            _ => None,
        };
        Rule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).holds(&state)
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closer_than_both() {
        assert!(holds("TRUE OR FALSE AND FALSE"));
        assert!(!holds("(TRUE OR FALSE) AND FALSE"));
        assert!(holds("NOT FALSE AND ALARM(a)"));
        assert!(holds("ALARM(\"a b\") AND (OK(o) OR OK('a')) AND INSUFFICIENT_DATA( i )"));
        assert!(holds("ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)"));
        assert!(!holds("ALARM(gone) OR OK(gone)"));
        assert_eq!(Rule::parse("ALARM(a) OR NOT OK(b) AND ALARM(a)").unwrap().names().len(), 2);
    }

    #[test]
    fn what_is_no_rule_is_told() {
        for wrong in [
            "",
            "ALARM",
            "ALARM()",
            "ALARM(a",
            "ALARM(a) ALARM(b)",
            "alarm(a)",
            "ALARM(a) XOR ALARM(b)",
            "(TRUE",
            "ANDTRUE",
        ] {
            assert!(Rule::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Rule::parse(&"(".repeat(20_000)).is_err());
        assert!(Rule::parse(&format!("{}TRUE", "NOT ".repeat(5_000))).is_err());
    }

    proptest! {
        /// Any text is a rule or none.
        #[test]
        fn any_text_is_read_or_refused(text in "[ALRMOKNDTUESF()\"'ab_ ]{0,60}") {
            let _ = Rule::parse(&text);
        }
    }
}
