//! Reads metric math.

use super::{Expression, Function, Operator};

/// Reads an expression.
///
/// # Errors
/// What is wrong with it, for people.
pub fn parse(text: &str) -> Result<Expression, String> {
    let mut parser = Parser { rest: tokens(text)?, depth: 0 };
    parser.rest.reverse();
    let expression = parser.binary(0)?;
    match parser.rest.pop() {
        None => Ok(expression),
        Some(token) => Err(format!("unexpected '{token}'")),
    }
}

/// Deeper nesting is refused, so that no text can exhaust the stack.
const MAX_DEPTH: u8 = 50;

struct Parser {
    /// What is still to be read, in reverse.
    rest: Vec<String>,
    depth: u8,
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let length = if c.is_whitespace() {
            at += 1;
            continue;
        } else if c.is_ascii_alphabetic() {
            chars[at..].iter().take_while(|c| c.is_ascii_alphanumeric() || **c == '_').count()
        } else if c.is_ascii_digit() || c == '.' {
            chars[at..].iter().take_while(|c| c.is_ascii_digit() || **c == '.').count()
        } else if chars
            .get(at + 1)
            .is_some_and(|next| matches!((c, next), ('=' | '!' | '<' | '>', '=') | ('&', '&') | ('|', '|')))
        {
            2
        } else if "+-*/^()[],<>".contains(c) {
            1
        } else {
            return Err(format!("unexpected '{c}'"));
        };
        out.push(chars[at..at + length].iter().collect());
        at += length;
    }
    Ok(out)
}

/// Operators by how loosely they bind.
const LEVELS: [&[(&str, Operator)]; 6] = [
    &[("||", Operator::Or), ("OR", Operator::Or)],
    &[("&&", Operator::And), ("AND", Operator::And)],
    &[
        ("==", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ],
    &[("+", Operator::Add), ("-", Operator::Subtract)],
    &[("*", Operator::Multiply), ("/", Operator::Divide)],
    &[("^", Operator::Power)],
];

impl Parser {
    fn peek(&self) -> &str {
        self.rest.last().map_or("", String::as_str)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        if found {
            self.rest.pop();
        }
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("expected '{token}' but found '{}'", self.peek())) }
    }

    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = LEVELS.get(level) else { return self.unary() };
        let mut left = self.binary(level + 1)?;
        while let Some((_, operator)) = operators.iter().find(|(text, _)| *text == self.peek()) {
            self.rest.pop();
            let right = self.binary(level + 1)?;
            left = Expression::Binary(*operator, Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Expression, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("it is nested too deep".to_owned());
        }
        let out = if self.take("-") { Ok(Expression::Negative(Box::new(self.unary()?))) } else { self.primary() };
        self.depth -= 1;
        out
    }

    fn primary(&mut self) -> Result<Expression, String> {
        let token = self.rest.pop().ok_or("it ends too early")?;
        if token == "(" {
            let inner = self.binary(0)?;
            self.expect(")")?;
            return Ok(inner);
        }
        if token == "[" {
            return Ok(Expression::Array(self.list("]")?));
        }
        if token.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return token.parse().map(Expression::Number).map_err(|_| format!("'{token}' is no number"));
        }
        if !token.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(format!("unexpected '{token}'"));
        }
        if self.take("(") {
            let function = Function::parse(&token).ok_or_else(|| format!("the function {token} is not supported"))?;
            return Ok(Expression::Call(function, self.list(")")?));
        }
        // Ids begin with a small letter; a word in capitals is an option of a function.
        Ok(if token.starts_with(|c: char| c.is_ascii_lowercase()) {
            Expression::Id(token)
        } else {
            Expression::Word(token)
        })
    }

    fn list(&mut self, end: &str) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.take(end) {
            return Ok(items);
        }
        loop {
            items.push(self.binary(0)?);
            if self.take(end) {
                return Ok(items);
            }
            self.expect(",")?;
        }
    }
}
