//! DescribeAlarmHistory, and what it shows.

use crate::errors::Error;
use crate::model::{History, HistoryKind};
use crate::shapes::{
    AlarmHistoryItem, AlarmType, DescribeAlarmHistoryInput, DescribeAlarmHistoryOutput, HistoryItemType, ScanBy,
};
use std::time::Duration;
use zonal_cloud::{Record, Tx, View, pages};
use zonal_wire::AwsError;

/// For how long AWS keeps an alarm's history.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Adds to an alarm's history, and forgets what is too old.
pub fn record(tx: &mut Tx<'_>, alarm: &str, kind: HistoryKind, summary: String, data: String) {
    record_of(tx, (alarm, false), kind, summary, data);
}

/// The same, of an alarm that may be a composite one.
pub fn record_of(tx: &mut Tx<'_>, (alarm, composite): (&str, bool), kind: HistoryKind, summary: String, data: String) {
    let oldest = tx.now - KEPT;
    // Items are in the order of their time: this looks at those that are too old, and one more.
    let old: Vec<String> =
        tx.list::<History>().take_while(|item| item.time < oldest).map(|item| item.key().to_owned()).collect();
    for key in old {
        tx.remove::<History>(&key);
    }
    let now = tx.now;
    let ordinal = (0..).find(|n| tx.get::<History>(&History::key_of(alarm, now, *n)).is_none());
    // A transaction adds a handful of items at most.
    tx.put(History::new((alarm, composite), now, ordinal.unwrap_or_default(), kind, (summary, data)));
}

/// DescribeAlarmHistory.
pub fn describe(view: &View<'_>, input: &DescribeAlarmHistoryInput) -> Result<DescribeAlarmHistoryOutput, AwsError> {
    let kind_of = |item: &History| if item.composite { AlarmType::CompositeAlarm } else { AlarmType::MetricAlarm };
    // Without types it is metric alarms that are asked for.
    let typed = |item: &History| match input.alarm_types.as_slice() {
        [] => !item.composite,
        types => types.contains(&kind_of(item)),
    };
    let wanted = |item: &&History| {
        typed(item)
            && input.alarm_name.as_ref().is_none_or(|name| *name == item.alarm)
            && input.history_item_type.is_none_or(|kind| kind == shown(item.kind))
            && input.start_date.is_none_or(|start| item.time >= start)
            && input.end_date.is_none_or(|end| item.time <= end)
    };
    let mut items: Vec<&History> = view.list::<History>().filter(wanted).collect();
    let ascending = input.scan_by == Some(ScanBy::TimestampAscending);
    if !ascending {
        items.reverse();
    }
    // A page begins behind the last item shown, by its place in this order.
    let keyed = items.into_iter().map(|item| {
        let place = if ascending { item.time.0 } else { i64::MAX - item.time.0 };
        (format!("{place:020}{}", item.key()), item)
    });
    let mut keyed: Vec<(String, &History)> = keyed.collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let limit = input.max_records.map_or(50, |limit| usize::try_from(limit).unwrap_or(50));
    let (page, next_token) =
        pages::page(keyed, input.next_token.as_deref(), Some(limit)).map_err(|_| Error::NextToken)?;
    let alarm_history_items = page
        .into_iter()
        .map(|item| AlarmHistoryItem {
            alarm_name: Some(item.alarm.clone()),
            alarm_type: Some(kind_of(item)),
            timestamp: Some(item.time),
            history_item_type: Some(shown(item.kind)),
            history_summary: Some(item.summary.clone()),
            history_data: Some(item.data.clone()),
            ..Default::default()
        })
        .collect();
    Ok(DescribeAlarmHistoryOutput { alarm_history_items, next_token })
}

fn shown(kind: HistoryKind) -> HistoryItemType {
    match kind {
        HistoryKind::Configuration => HistoryItemType::ConfigurationUpdate,
        HistoryKind::State => HistoryItemType::StateUpdate,
        HistoryKind::Action => HistoryItemType::Action,
    }
}
