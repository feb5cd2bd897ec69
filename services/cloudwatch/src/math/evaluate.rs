//! Evaluates metric math over the results of other queries.

use super::{Expression, Function, Operator, Values};
use std::collections::BTreeMap;
use zonal_wire::Time;

/// A value that an expression can have.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar(f64),
    /// A time series.
    Series(Values),
    /// Several.
    Array(Vec<Named>),
}

/// One of several series, and whose it is: the id of the query that it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// That id.
    pub name: String,
    /// The series.
    pub values: Values,
}

/// What an expression is evaluated over.
pub struct Scope<'a> {
    /// Results of other queries.
    pub results: &'a BTreeMap<String, Value>,
    /// Which of them are metrics, for `METRICS()`.
    pub metrics: &'a [String],
    /// The period, in seconds.
    pub period: i64,
    /// The first period's begin and the end of the last.
    pub range: (i64, i64),
}

impl Scope<'_> {
    /// Evaluates an expression. Where that gives no number (a division by zero, the logarithm of nothing), a series has no value.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn evaluate(&self, expression: &Expression) -> Result<Value, String> {
        let numbers = |mut series: Values| {
            series.retain(|_, value| value.is_finite());
            series
        };
        Ok(each(self.value(expression)?, numbers))
    }

    fn value(&self, expression: &Expression) -> Result<Value, String> {
        Ok(match expression {
            Expression::Number(number) => Value::Scalar(*number),
            Expression::Id(id) => {
                self.results.get(id).cloned().ok_or_else(|| format!("there is no query with the id {id}"))?
            }
            Expression::Word(word) => return Err(format!("unexpected '{word}'")),
            Expression::Negative(inner) => map(self.evaluate(inner)?, |v| -v),
            Expression::Array(items) => {
                let named = |item: &Expression| {
                    let name = if let Expression::Id(id) = item { id.clone() } else { String::new() };
                    Ok::<_, String>(Named { name, values: self.series(item)? })
                };
                Value::Array(items.iter().map(named).collect::<Result<_, _>>()?)
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
            let named = |id: &String| match self.results.get(id)? {
                Value::Series(values) => Some(Named { name: id.clone(), values: values.clone() }),
                Value::Scalar(_) | Value::Array(_) => None,
            };
            let all = self.metrics.iter().filter_map(named).collect();
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
        if let (Some(of), [_]) = (time_of(function), arguments) {
            let value = self.evaluate(first)?;
            return Ok(each(value, |series| series.into_keys().map(|second| (second, of(second))).collect()));
        }
        if let (Function::Sort | Function::Slice | Function::First | Function::Last | Function::MetricCount, rest) =
            (function, &arguments[1..])
        {
            return self.pick(function, first, rest).unwrap_or_else(|| Err(wrong()));
        }
        match (function, &arguments[1..]) {
            (Function::Log, []) => Ok(map(self.evaluate(first)?, f64::ln)),
            (Function::Log10, []) => Ok(map(self.evaluate(first)?, f64::log10)),
            (Function::DiffTime, []) => {
                Ok(each(self.evaluate(first)?, |series| steps(&series, |seconds, _| seconds as f64)))
            }
            (Function::RemoveEmpty, []) => match self.evaluate(first)? {
                Value::Array(all) => Ok(Value::Array(all.into_iter().filter(|one| !one.values.is_empty()).collect())),
                one => Ok(one),
            },
            (Function::Abs, []) => Ok(map(self.evaluate(first)?, f64::abs)),
            (Function::Ceil, []) => Ok(map(self.evaluate(first)?, f64::ceil)),
            (Function::Floor, []) => Ok(map(self.evaluate(first)?, f64::floor)),
            (Function::Period, []) => Ok(Value::Scalar(self.period as f64)),
            (Function::TimeSeries, []) => Ok(Value::Series(self.series(first)?)),
            (Function::Diff, []) => Ok(each(self.evaluate(first)?, |series| steps(&series, |_, change| change))),
            (Function::Rate, []) => {
                Ok(each(self.evaluate(first)?, |series| steps(&series, |seconds, change| change / seconds as f64)))
            }
            (Function::RunningSum, []) => Ok(each(self.evaluate(first)?, |series| {
                let mut sum = 0.0;
                let summed = series.into_iter().map(|(second, value)| {
                    sum += value;
                    (second, sum)
                });
                summed.collect()
            })),
            (Function::Fill, [with]) => match self.evaluate(first)? {
                Value::Array(all) => {
                    let filled = all
                        .into_iter()
                        .map(|one| Ok::<_, String>(Named { values: self.fill(one.values, with)?, name: one.name }));
                    Ok(Value::Array(filled.collect::<Result<_, _>>()?))
                }
                _ => Ok(Value::Series(self.fill(self.series(first)?, with)?)),
            },
            (Function::If, [then, otherwise @ ..]) if otherwise.len() < 2 => {
                self.choose(first, then, otherwise.first())
            }
            _ => Err(wrong()),
        }
    }

    /// Functions of an array as such; `None` for arguments that they do not take.
    fn pick(&self, function: Function, first: &Expression, rest: &[Expression]) -> Option<Result<Value, String>> {
        let mut all = match self.evaluate(first) {
            Ok(Value::Array(all)) => all,
            Ok(Value::Series(values)) => vec![Named { name: String::new(), values }],
            Ok(Value::Scalar(_)) => return Some(Err(format!("{function:?} takes an array of time series"))),
            Err(reason) => return Some(Err(reason)),
        };
        let whole = |expression: &Expression| match expression {
            // Counts of series: few.
            Expression::Number(number) if *number >= 0.0 => Some(*number as usize),
            _ => None,
        };
        Some(Ok(match (function, rest) {
            (Function::MetricCount, []) => Value::Scalar(all.len() as f64),
            (Function::First, []) => Value::Series(all.into_iter().next().map(|one| one.values).unwrap_or_default()),
            (Function::Last, []) => Value::Series(all.pop().map(|one| one.values).unwrap_or_default()),
            (Function::Slice, [from]) => Value::Array(all.into_iter().skip(whole(from)?).collect()),
            (Function::Slice, [from, to]) => {
                let (from, to) = (whole(from)?, whole(to)?);
                Value::Array(all.into_iter().take(to).skip(from).collect())
            }
            (Function::Sort, [Expression::Word(by), Expression::Word(order), limit @ ..]) if limit.len() < 2 => {
                let of = aggregate(Function::parse(by)?)?;
                let down = match order.as_str() {
                    "ASC" => false,
                    "DESC" => true,
                    _ => return None,
                };
                // Those without a value come last, whatever the order.
                all.sort_by(|a, b| {
                    let value = |one: &Named| of(&one.values.values().copied().collect::<Vec<_>>());
                    let order = value(a).total_cmp(&value(b));
                    let order = if down { order.reverse() } else { order };
                    a.values.is_empty().cmp(&b.values.is_empty()).then(order)
                });
                let most = match limit.first() {
                    Some(limit) => whole(limit)?,
                    None => all.len(),
                };
                Value::Array(all.into_iter().take(most).collect())
            }
            _ => return None,
        }))
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
        let no_arrays = || "IF does not take an array".to_owned();
        let branch = |expression: &Expression| match self.evaluate(expression)? {
            Value::Array(_) => Err(no_arrays()),
            one => Ok(one),
        };
        let then = branch(then)?;
        let otherwise = otherwise.map(branch).transpose()?;
        let at = |value: &Value, second: i64| match value {
            Value::Scalar(number) => Some(*number),
            Value::Series(series) => series.get(&second).copied(),
            Value::Array(_) => None,
        };
        match self.evaluate(condition)? {
            Value::Scalar(number) if number != 0.0 => Ok(then),
            Value::Scalar(_) => Ok(otherwise.unwrap_or_else(|| Value::Series(Values::new()))),
            Value::Array(_) => Err(no_arrays()),
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
fn across(all: &[Named], aggregate: Aggregate) -> Values {
    let mut columns: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (second, value) in all.iter().flat_map(|one| &one.values) {
        columns.entry(*second).or_default().push(*value);
    }
    columns.into_iter().map(|(second, values)| (second, aggregate(&values))).collect()
}

fn steps(series: &Values, of: fn(i64, f64) -> f64) -> Values {
    series.iter().zip(series.iter().skip(1)).map(|((t0, v0), (t1, v1))| (*t1, of(t1 - t0, v1 - v0))).collect()
}

/// What a second is in the calendar, in UTC, for the functions that say so.
fn time_of(function: Function) -> Option<fn(i64) -> f64> {
    fn part(second: i64, at: std::ops::Range<usize>) -> f64 {
        // `2026-11-24T16:00:00Z`: fixed places.
        Time::from_secs(second).iso8601()[at].parse().unwrap_or(0.0)
    }
    Some(match function {
        Function::Minute => |second| part(second, 14..16),
        Function::Hour => |second| part(second, 11..13),
        Function::Date => |second| part(second, 8..10),
        Function::Month => |second| part(second, 5..7),
        Function::Year => |second| part(second, 0..4),
        // Monday is 1. The epoch was a Thursday.
        Function::Day => |second| ((second.div_euclid(86_400) + 3).rem_euclid(7) + 1) as f64,
        Function::Epoch => |second| second as f64,
        _ => return None,
    })
}

/// Each series of a value made another; a number has none.
fn each(value: Value, of: impl Fn(Values) -> Values) -> Value {
    match value {
        Value::Scalar(number) => Value::Scalar(number),
        Value::Series(series) => Value::Series(of(series)),
        Value::Array(all) => {
            Value::Array(all.into_iter().map(|one| Named { values: of(one.values), name: one.name }).collect())
        }
    }
}

fn map(value: Value, of: impl Fn(f64) -> f64) -> Value {
    let all = |series: Values| series.into_iter().map(|(second, value)| (second, of(value))).collect::<Values>();
    match value {
        Value::Scalar(number) => Value::Scalar(of(number)),
        value => each(value, all),
    }
}

/// Of two series, only seconds that both have.
fn combine(left: Value, right: Value, of: impl Fn(f64, f64) -> f64 + Copy) -> Result<Value, String> {
    Ok(match (left, right) {
        (left, Value::Scalar(b)) => map(left, |a| of(a, b)),
        (Value::Scalar(a), right) => map(right, |b| of(a, b)),
        (Value::Series(left), Value::Series(right)) => Value::Series(both(&left, &right, of)),
        (all @ Value::Array(_), Value::Series(right)) => each(all, |left| both(&left, &right, of)),
        (Value::Series(left), all @ Value::Array(_)) => each(all, |right| both(&left, &right, of)),
        (Value::Array(_), Value::Array(_)) => return Err("two arrays cannot be combined".to_owned()),
    })
}

fn both(left: &Values, right: &Values, of: impl Fn(f64, f64) -> f64) -> Values {
    left.iter().filter_map(|(second, a)| Some((*second, of(*a, *right.get(second)?)))).collect()
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
