//! Metric math: the expressions that GetMetricData and alarms take.
//!
//! Source: "Using math expressions with CloudWatch metrics" in the CloudWatch user guide. What is not here is refused by name.

use std::collections::BTreeMap;

/// Values by the second at which their period begins.
pub type Values = BTreeMap<i64, f64>;

/// A parsed expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    /// `1.5`
    Number(f64),
    /// The result of another query.
    Id(String),
    /// `NAME(…)`
    Call(Function, Vec<Expression>),
    /// `-x`
    Negative(Box<Expression>),
    /// `x + y`
    Binary(Operator, Box<Expression>, Box<Expression>),
    /// `[m1, m2]`
    Array(Vec<Expression>),
    /// `REPEAT`, `LINEAR`: a bare word as an argument.
    Word(String),
}

/// An operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names say it")]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
}

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are AWS's")]
pub enum Function {
    Abs,
    Avg,
    Ceil,
    DatapointCount,
    Diff,
    Fill,
    Floor,
    If,
    Max,
    Metrics,
    Min,
    Period,
    Rate,
    RunningSum,
    StdDev,
    Sum,
    TimeSeries,
}

impl Function {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ABS" => Self::Abs,
            "AVG" => Self::Avg,
            "CEIL" => Self::Ceil,
            "DATAPOINT_COUNT" => Self::DatapointCount,
            "DIFF" => Self::Diff,
            "FILL" => Self::Fill,
            "FLOOR" => Self::Floor,
            "IF" => Self::If,
            "MAX" => Self::Max,
            "METRICS" => Self::Metrics,
            "MIN" => Self::Min,
            "PERIOD" => Self::Period,
            "RATE" => Self::Rate,
            "RUNNING_SUM" => Self::RunningSum,
            "STDDEV" => Self::StdDev,
            "SUM" => Self::Sum,
            "TIME_SERIES" => Self::TimeSeries,
            _ => return None,
        })
    }
}

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
        } else if chars.get(at + 1).is_some_and(|next| matches!((c, next), ('=' | '!' | '<' | '>', '=') | ('&', '&') | ('|', '|'))) {
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
        Ok(if token.starts_with(|c: char| c.is_ascii_lowercase()) { Expression::Id(token) } else { Expression::Word(token) })
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

/// A value that an expression can have.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A time series.
    Series(Values),
    /// Several.
    Array(Vec<Values>),
}

/// What an expression is evaluated over.
pub struct Scope<'a> {
    /// Results of other queries.
    pub results: &'a BTreeMap<String, Values>,
    /// Which of them are metrics, for `METRICS()`.
    pub metrics: &'a [String],
    /// The period, in seconds.
    pub period: i64,
    /// The first period's begin and the end of the last.
    pub range: (i64, i64),
}

impl Scope<'_> {
    /// Evaluates an expression.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn evaluate(&self, expression: &Expression) -> Result<Value, String> {
        Ok(match expression {
            Expression::Number(number) => Value::Scalar(*number),
            Expression::Id(id) => {
                Value::Series(self.results.get(id).cloned().ok_or_else(|| format!("there is no query with the id {id}"))?)
            }
            Expression::Word(word) => return Err(format!("unexpected '{word}'")),
            Expression::Negative(inner) => map(self.evaluate(inner)?, |v| -v),
            Expression::Array(items) => {
                let items = items.iter().map(|item| self.series(item)).collect::<Result<_, _>>()?;
                Value::Array(items)
            }
            Expression::Binary(operator, left, right) => {
                combine(self.evaluate(left)?, self.evaluate(right)?, |a, b| apply(*operator, a, b))?
            }
            Expression::Call(function, arguments) => self.call(*function, arguments)?,
        })
    }

    fn series(&self, expression: &Expression) -> Result<Values, String> {
        match self.evaluate(expression)? {
            Value::Series(series) => Ok(series),
            Value::Scalar(number) => Ok(self.constant(number)),
            Value::Array(_) => Err("an array stands where a time series is wanted".to_owned()),
        }
    }

    fn constant(&self, number: f64) -> Values {
        self.seconds().map(|second| (second, number)).collect()
    }

    fn seconds(&self) -> impl Iterator<Item = i64> {
        (self.range.0..self.range.1).step_by(usize::try_from(self.period).unwrap_or(60).max(1))
    }

    fn call(&self, function: Function, arguments: &[Expression]) -> Result<Value, String> {
        let wrong = || format!("{function:?} does not take {} arguments", arguments.len());
        if function == Function::Metrics {
            let all = self.metrics.iter().filter_map(|id| self.results.get(id).cloned()).collect();
            return if arguments.is_empty() { Ok(Value::Array(all)) } else { Err(wrong()) };
        }
        let first = arguments.first().ok_or_else(wrong)?;
        if let Some(rest) = aggregate(function) {
            return match (self.evaluate(first)?, arguments.len()) {
                (Value::Array(all), 1) => Ok(Value::Series(across(&all, rest))),
                (Value::Series(series), 1) => Ok(Value::Scalar(rest(&series.into_values().collect::<Vec<_>>()))),
                (Value::Scalar(number), 1) => Ok(Value::Scalar(rest(&[number]))),
                _ => Err(wrong()),
            };
        }
        match (function, &arguments[1..]) {
            (Function::Abs, []) => Ok(map(self.evaluate(first)?, f64::abs)),
            (Function::Ceil, []) => Ok(map(self.evaluate(first)?, f64::ceil)),
            (Function::Floor, []) => Ok(map(self.evaluate(first)?, f64::floor)),
            (Function::Period, []) => Ok(Value::Scalar(self.period as f64)),
            (Function::TimeSeries, []) => Ok(Value::Series(self.series(first)?)),
            (Function::Diff, []) => Ok(Value::Series(steps(&self.series(first)?, |_, change| change))),
            (Function::Rate, []) => Ok(Value::Series(steps(&self.series(first)?, |seconds, change| change / seconds as f64))),
            (Function::RunningSum, []) => {
                let mut sum = 0.0;
                let summed = self.series(first)?.into_iter().map(|(second, value)| {
                    sum += value;
                    (second, sum)
                });
                Ok(Value::Series(summed.collect()))
            }
            (Function::Fill, [with]) => Ok(Value::Series(self.fill(self.series(first)?, with)?)),
            (Function::If, [then, otherwise @ ..]) if otherwise.len() < 2 => self.choose(first, then, otherwise.first()),
            _ => Err(wrong()),
        }
    }

    fn fill(&self, mut series: Values, with: &Expression) -> Result<Values, String> {
        let filled: Values = match with {
            Expression::Word(word) if word == "REPEAT" => self
                .seconds()
                .filter_map(|second| series.range(..=second).next_back().map(|(_, value)| (second, *value)))
                .collect(),
            Expression::Word(word) if word == "LINEAR" => self
                .seconds()
                .filter_map(|second| {
                    let (before, from) = series.range(..=second).next_back()?;
                    let (after, to) = series.range(second..).next()?;
                    let share = if after == before { 0.0 } else { (second - before) as f64 / (after - before) as f64 };
                    Some((second, from + (to - from) * share))
                })
                .collect(),
            other => match self.evaluate(other)? {
                Value::Scalar(number) => self.constant(number),
                Value::Series(values) => values,
                Value::Array(_) => return Err("FILL does not take an array".to_owned()),
            },
        };
        for (second, value) in filled {
            series.entry(second).or_insert(value);
        }
        Ok(series)
    }

    fn choose(&self, condition: &Expression, then: &Expression, otherwise: Option<&Expression>) -> Result<Value, String> {
        let then = self.evaluate(then)?;
        let otherwise = otherwise.map(|other| self.evaluate(other)).transpose()?;
        let at = |value: &Value, second: i64| match value {
            Value::Scalar(number) => Some(*number),
            Value::Series(series) => series.get(&second).copied(),
            Value::Array(_) => None,
        };
        match self.evaluate(condition)? {
            Value::Scalar(number) if number != 0.0 => Ok(then),
            Value::Scalar(_) => Ok(otherwise.unwrap_or_else(|| Value::Series(Values::new()))),
            Value::Array(_) => Err("IF does not take an array".to_owned()),
            Value::Series(series) => {
                let chosen = series.iter().filter_map(|(second, holds)| {
                    let value = if *holds == 0.0 { otherwise.as_ref() } else { Some(&then) };
                    Some((*second, at(value?, *second)?))
                });
                Ok(Value::Series(chosen.collect()))
            }
        }
    }
}

type Aggregate = fn(&[f64]) -> f64;

fn aggregate(function: Function) -> Option<Aggregate> {
    fn mean(values: &[f64]) -> f64 {
        values.iter().sum::<f64>() / values.len() as f64
    }
    Some(match function {
        Function::Sum => |v| v.iter().sum(),
        Function::Avg => mean,
        Function::Min => |v| v.iter().copied().fold(f64::INFINITY, f64::min),
        Function::Max => |v| v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Function::StdDev => |v| (v.iter().map(|x| (x - mean(v)).powi(2)).sum::<f64>() / v.len() as f64).sqrt(),
        Function::DatapointCount => |v| v.len() as f64,
        _ => return None,
    })
}

/// One series out of several: at each second, of all that have a value there.
fn across(all: &[Values], aggregate: Aggregate) -> Values {
    let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (second, value) in all.iter().flatten() {
        columns.entry(*second).or_default().push(*value);
    }
    columns.into_iter().map(|(second, values)| (second, aggregate(&values))).collect()
}

fn steps(series: &Values, of: fn(i64, f64) -> f64) -> Values {
    series.iter().zip(series.iter().skip(1)).map(|((t0, v0), (t1, v1))| (*t1, of(t1 - t0, v1 - v0))).collect()
}

fn map(value: Value, of: impl Fn(f64) -> f64) -> Value {
    let each = |series: Values| series.into_iter().map(|(second, value)| (second, of(value))).collect::<Values>();
    match value {
        Value::Scalar(number) => Value::Scalar(of(number)),
        Value::Series(series) => Value::Series(each(series)),
        Value::Array(all) => Value::Array(all.into_iter().map(each).collect()),
    }
}

/// Of two series, only seconds that both have.
fn combine(left: Value, right: Value, of: impl Fn(f64, f64) -> f64 + Copy) -> Result<Value, String> {
    Ok(match (left, right) {
        (left, Value::Scalar(b)) => map(left, |a| of(a, b)),
        (Value::Scalar(a), right) => map(right, |b| of(a, b)),
        (Value::Series(left), Value::Series(right)) => Value::Series(both(&left, &right, of)),
        (Value::Array(all), Value::Series(right)) => Value::Array(all.iter().map(|left| both(left, &right, of)).collect()),
        (Value::Series(left), Value::Array(all)) => Value::Array(all.iter().map(|right| both(&left, right, of)).collect()),
        (Value::Array(_), Value::Array(_)) => return Err("two arrays cannot be combined".to_owned()),
    })
}

fn both(left: &Values, right: &Values, of: impl Fn(f64, f64) -> f64) -> Values {
    left.iter().filter_map(|(second, a)| Some((*second, of(*a, *right.get(second)?)))).filter(|(_, v)| v.is_finite()).collect()
}

fn apply(operator: Operator, a: f64, b: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        Operator::Power => a.powf(b),
        Operator::Equal => truth(a == b),
        Operator::NotEqual => truth(a != b),
        Operator::Less => truth(a < b),
        Operator::LessOrEqual => truth(a <= b),
        Operator::Greater => truth(a > b),
        Operator::GreaterOrEqual => truth(a >= b),
        Operator::And => truth(a != 0.0 && b != 0.0),
        Operator::Or => truth(a != 0.0 || b != 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Result<Value, String> {
        let results = BTreeMap::from([
            ("m1".to_owned(), Values::from([(0, 1.0), (60, 2.0), (180, 4.0)])),
            ("m2".to_owned(), Values::from([(0, 10.0), (60, 20.0), (120, 30.0)])),
        ]);
        let metrics = ["m1".to_owned(), "m2".to_owned()];
        let scope = Scope { results: &results, metrics: &metrics, period: 60, range: (0, 240) };
        scope.evaluate(&parse(text)?)
    }

    fn check(text: &str, expected: &[(i64, f64)]) {
        assert_eq!(evaluate(text), Ok(Value::Series(expected.iter().copied().collect())), "{text}");
    }

    #[test]
    fn operators_bind_as_in_arithmetic() {
        assert_eq!(evaluate("1 + 2 * 3 ^ 2 - -4"), Ok(Value::Scalar(23.0)));
        assert_eq!(evaluate("(1 + 2) * 3"), Ok(Value::Scalar(9.0)));
        assert_eq!(evaluate("1 < 2 AND 2 >= 3"), Ok(Value::Scalar(0.0)));
    }

    #[test]
    fn two_series_meet_where_both_have_a_value() {
        check("m1 + m2", &[(0, 11.0), (60, 22.0)]);
        check("m2 / m1 * 100", &[(0, 1000.0), (60, 1000.0)]);
    }

    #[test]
    fn an_aggregate_of_an_array_is_a_series_and_of_a_series_a_number() {
        check("SUM([m1, m2])", &[(0, 11.0), (60, 22.0), (120, 30.0), (180, 4.0)]);
        check("MAX(METRICS())", &[(0, 10.0), (60, 20.0), (120, 30.0), (180, 4.0)]);
        assert_eq!(evaluate("AVG(m2)"), Ok(Value::Scalar(20.0)));
    }

    #[test]
    fn fill_puts_values_where_none_are() {
        check("FILL(m1, 0)", &[(0, 1.0), (60, 2.0), (120, 0.0), (180, 4.0)]);
        check("FILL(m1, REPEAT)", &[(0, 1.0), (60, 2.0), (120, 2.0), (180, 4.0)]);
        check("FILL(m1, LINEAR)", &[(0, 1.0), (60, 2.0), (120, 3.0), (180, 4.0)]);
    }

    #[test]
    fn if_rate_and_diff() {
        check("IF(m1 > 1, m1, 0)", &[(0, 0.0), (60, 2.0), (180, 4.0)]);
        check("RATE(m2)", &[(60, 10.0 / 60.0), (120, 10.0 / 60.0)]);
        check("DIFF(m1)", &[(60, 1.0), (180, 2.0)]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("m1 +", "it ends too early"),
            ("SEARCH('x')", "unexpected '''"),
            ("ANOMALY_DETECTION_BAND(m1)", "the function ANOMALY_DETECTION_BAND is not supported"),
            ("m9", "there is no query with the id m9"),
            ("m1 m2", "unexpected 'm2'"),
        ] {
            assert_eq!(evaluate(text), Err(said.to_owned()), "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
    }
}
