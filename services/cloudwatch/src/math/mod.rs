//! Metric math: the expressions that GetMetricData and alarms take.
//!
//! Source: "Using math expressions with CloudWatch metrics" in the CloudWatch user guide. What is not here is refused by name.

mod evaluate;
mod parse;

pub use evaluate::{Named, Scope, Value};
pub use parse::parse;

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
    Date,
    Day,
    Diff,
    DiffTime,
    Epoch,
    Fill,
    First,
    Floor,
    Hour,
    If,
    Last,
    Log,
    Log10,
    Max,
    MetricCount,
    Metrics,
    Min,
    Minute,
    Month,
    Period,
    Rate,
    RemoveEmpty,
    RunningSum,
    Slice,
    Sort,
    StdDev,
    Sum,
    TimeSeries,
    Year,
}

impl Function {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ABS" => Self::Abs,
            "AVG" => Self::Avg,
            "CEIL" => Self::Ceil,
            "DATAPOINT_COUNT" => Self::DatapointCount,
            "DATE" => Self::Date,
            "DAY" => Self::Day,
            "DIFF" => Self::Diff,
            "DIFF_TIME" => Self::DiffTime,
            "EPOCH" => Self::Epoch,
            "FILL" => Self::Fill,
            "FIRST" => Self::First,
            "FLOOR" => Self::Floor,
            "HOUR" => Self::Hour,
            "IF" => Self::If,
            "LAST" => Self::Last,
            "LOG" => Self::Log,
            "LOG10" => Self::Log10,
            "MAX" => Self::Max,
            "METRIC_COUNT" => Self::MetricCount,
            "METRICS" => Self::Metrics,
            "MIN" => Self::Min,
            "MINUTE" => Self::Minute,
            "MONTH" => Self::Month,
            "PERIOD" => Self::Period,
            "RATE" => Self::Rate,
            "REMOVE_EMPTY" => Self::RemoveEmpty,
            "RUNNING_SUM" => Self::RunningSum,
            "SLICE" => Self::Slice,
            "SORT" => Self::Sort,
            "STDDEV" => Self::StdDev,
            "SUM" => Self::Sum,
            "TIME_SERIES" => Self::TimeSeries,
            "YEAR" => Self::Year,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluate(text: &str) -> Result<Value, String> {
        let results = BTreeMap::from([
            ("m1".to_owned(), Value::Series(Values::from([(0, 1.0), (60, 2.0), (180, 4.0)]))),
            ("m2".to_owned(), Value::Series(Values::from([(0, 10.0), (60, 20.0), (120, 30.0)]))),
            ("m3".to_owned(), Value::Series(Values::new())),
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

    /// The names of an array's series, in their order.
    fn names(text: &str) -> Vec<String> {
        match evaluate(text) {
            Ok(Value::Array(all)) => all.into_iter().map(|one| one.name).collect(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn arrays_are_sorted_cut_and_rid_of_what_is_empty() {
        assert_eq!(names("SORT(METRICS(), AVG, DESC)"), ["m2", "m1"]);
        assert_eq!(names("SORT(METRICS(), MAX, ASC, 1)"), ["m1"]);
        assert_eq!(names("SLICE(METRICS(), 1)"), ["m2"]);
        assert_eq!(names("SLICE(METRICS(), 0, 1)"), ["m1"]);
        assert_eq!(names("REMOVE_EMPTY([m1, m3])"), ["m1"]);
        check("FIRST(METRICS())", &[(0, 1.0), (60, 2.0), (180, 4.0)]);
        check("LAST(METRICS()) * 2", &[(0, 20.0), (60, 40.0), (120, 60.0)]);
        assert_eq!(evaluate("METRIC_COUNT(METRICS())"), Ok(Value::Scalar(2.0)));
        check("SUM(RATE(METRICS())) * 60", &[(60, 11.0), (120, 10.0), (180, 1.0)]);
    }

    #[test]
    fn logarithms_and_times() {
        check("LOG10(m2 * 10)", &[(0, 2.0), (60, 200f64.log10()), (120, 300f64.log10())]);
        check("LOG(m1)", &[(0, 0.0), (60, 2f64.ln()), (180, 4f64.ln())]);
        check("DIFF_TIME(m1)", &[(60, 60.0), (180, 120.0)]);
        check("EPOCH(m1)", &[(0, 0.0), (60, 60.0), (180, 180.0)]);
    }

    #[test]
    fn each_function_of_the_calendar_tells_its_own_part() {
        // Tuesday, 2026-11-24T16:05:00Z, and the first minute of the Sunday after.
        let (tuesday, sunday) = (1_795_536_300, 1_795_910_400);
        let results = BTreeMap::from([("m1".to_owned(), Value::Series(Values::from([(tuesday, 1.0), (sunday, 1.0)])))]);
        let scope = Scope { results: &results, metrics: &[], period: 60, range: (tuesday, sunday + 60) };
        for (name, then, later) in [
            ("MINUTE", 5.0, 0.0),
            ("HOUR", 16.0, 0.0),
            ("DAY", 2.0, 7.0),
            ("DATE", 24.0, 29.0),
            ("MONTH", 11.0, 11.0),
            ("YEAR", 2026.0, 2026.0),
            ("EPOCH", 1_795_536_300.0, 1_795_910_400.0),
        ] {
            let told = scope.evaluate(&parse(&format!("{name}(m1)")).unwrap());
            assert_eq!(told, Ok(Value::Series(Values::from([(tuesday, then), (sunday, later)]))), "{name}");
        }
    }

    #[test]
    fn a_series_has_no_value_where_the_result_is_no_number() {
        check("LOG(m1 - 1)", &[(60, 0.0), (180, 3f64.ln())]);
        check("LOG10(m1 - 2)", &[(180, 2f64.log10())]);
        check("-LOG(m1 - 1)", &[(60, 0.0), (180, -3f64.ln())]);
        check("m1 / (m2 - 10)", &[(60, 0.2)]);
        check("m1 / 0", &[]);
        check("(m1 - 2) ^ 0.5", &[(60, 0.0), (180, 2f64.sqrt())]);
        check("TIME_SERIES(LOG(0))", &[]);
        check("FILL(m1, LOG(0))", &[(0, 1.0), (60, 2.0), (180, 4.0)]);
        check("IF(m1 > 1, LOG(0), m1)", &[(0, 1.0)]);
        check("SUM([LOG(m1 - 1), m1])", &[(0, 1.0), (60, 2.0), (180, 4.0 + 3f64.ln())]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("m1 +", "it ends too early"),
            ("SEARCH('x')", "unexpected '''"),
            ("ANOMALY_DETECTION_BAND(m1)", "the function ANOMALY_DETECTION_BAND is not supported"),
            ("m9", "there is no query with the id m9"),
            ("m1 m2", "unexpected 'm2'"),
            ("IF(METRICS(), m1, m2)", "IF does not take an array"),
            ("IF(m1 > 1, METRICS(), m2)", "IF does not take an array"),
            ("IF(m1 > 1, m1, [m1, m2])", "IF does not take an array"),
            ("IF(0, METRICS())", "IF does not take an array"),
        ] {
            assert_eq!(evaluate(text), Err(said.to_owned()), "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
    }
}
