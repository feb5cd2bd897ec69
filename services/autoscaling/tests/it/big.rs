//! A group of many instances.

use crate::yard::Yard;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_group_of_two_hundred_is_complete_within_minutes_and_stays_so_for_an_hour() {
    let yard = Yard::new();
    yard.group("asg", "abcd", (0, 200, 200), json!({}));
    yard.serving(Duration::from_secs(120), "asg", 200);
    let revision = yard.cloud.revision();
    yard.pass(Duration::from_secs(3600));
    assert_eq!(yard.in_state("asg", "InService").len(), 200);
    // What is settled is not written again: an hour's commits are its minutes' metrics.
    let commits = yard.cloud.revision() - revision;
    assert!(commits < 200, "{commits} commits");
}
