//! Evaluates metric math over the results of other queries.

use super::{Expression, Function, Operator, Values};
use std::collections::BTreeMap;

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
            Expression::Id(id) => Value::Series(
                self.results.get(id).cloned().ok_or_else(|| format!("there is no query with the id {id}"))?,
            ),
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
            (Function::Rate, []) => {
                Ok(Value::Series(steps(&self.series(first)?, |seconds, change| change / seconds as f64)))
            }
            (Function::RunningSum, []) => {
                let mut sum = 0.0;
                let summed = self.series(first)?.into_iter().map(|(second, value)| {
                    sum += value;
                    (second, sum)
                });
                Ok(Value::Series(summed.collect()))
            }
            (Function::Fill, [with]) => Ok(Value::Series(self.fill(self.series(first)?, with)?)),
            (Function::If, [then, otherwise @ ..]) if otherwise.len() < 2 => {
                self.choose(first, then, otherwise.first())
            }
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

    fn choose(
        &self,
        condition: &Expression,
        then: &Expression,
        otherwise: Option<&Expression>,
    ) -> Result<Value, String> {
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
        (Value::Array(all), Value::Series(right)) => {
            Value::Array(all.iter().map(|left| both(left, &right, of)).collect())
        }
        (Value::Series(left), Value::Array(all)) => {
            Value::Array(all.iter().map(|right| both(&left, right, of)).collect())
        }
        (Value::Array(_), Value::Array(_)) => return Err("two arrays cannot be combined".to_owned()),
    })
}

fn both(left: &Values, right: &Values, of: impl Fn(f64, f64) -> f64) -> Values {
    left.iter()
        .filter_map(|(second, a)| Some((*second, of(*a, *right.get(second)?))))
        .filter(|(_, v)| v.is_finite())
        .collect()
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
