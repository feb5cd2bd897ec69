"""CloudWatch: what is put is got, summed as asked, and alarmed on."""

import datetime

from conftest import wait_for

NOW = datetime.timezone.utc


def window(minutes=10):
    now = datetime.datetime.now(NOW)
    return {"StartTime": now - datetime.timedelta(minutes=minutes), "EndTime": now + datetime.timedelta(minutes=1)}


def test_statistics_are_those_of_the_values_put(account):
    at = datetime.datetime.now(NOW).replace(second=0, microsecond=0) - datetime.timedelta(minutes=3)
    account.cloudwatch.put_metric_data(Namespace="App", MetricData=[
        {"MetricName": "Latency", "Value": value, "Unit": "Milliseconds", "Timestamp": at,
         "Dimensions": [{"Name": "Page", "Value": "home"}]} for value in (1.0, 2.0, 9.0)])
    (point,) = account.cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="Latency", Period=60, Statistics=["Sum", "Average", "Minimum", "Maximum", "SampleCount"],
        Dimensions=[{"Name": "Page", "Value": "home"}], **window())["Datapoints"]
    assert (point["Sum"], point["Average"], point["Minimum"], point["Maximum"], point["SampleCount"]) == (12.0, 4.0, 1.0, 9.0, 3.0)
    assert point["Unit"] == "Milliseconds" and point["Timestamp"] == at
    assert account.cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="Latency", Period=60, Statistics=["Sum"], **window())["Datapoints"] == []


def test_metric_math_computes_over_several(account):
    at = datetime.datetime.now(NOW).replace(second=0, microsecond=0) - datetime.timedelta(minutes=3)
    account.cloudwatch.put_metric_data(Namespace="App", MetricData=[
        {"MetricName": name, "Value": value, "Timestamp": at} for name, value in (("errors", 3.0), ("requests", 12.0))])
    query = lambda name: {"Id": name, "ReturnData": False, "MetricStat": {
        "Metric": {"Namespace": "App", "MetricName": name}, "Period": 60, "Stat": "Sum"}}
    (result,) = account.cloudwatch.get_metric_data(**window(), MetricDataQueries=[
        query("errors"), query("requests"), {"Id": "rate", "Expression": "100 * errors / requests"}])["MetricDataResults"]
    assert result["Values"] == [25.0] and result["StatusCode"] == "Complete"


def test_metrics_are_listed_by_name_and_dimension(account):
    account.cloudwatch.put_metric_data(Namespace="App", MetricData=[
        {"MetricName": "Hits", "Value": 1, "Dimensions": [{"Name": "Page", "Value": page}]} for page in ("home", "cart")])
    listed = wait_for("both metrics", lambda: account.cloudwatch.list_metrics(Namespace="App", MetricName="Hits")["Metrics"])
    assert {metric["Dimensions"][0]["Value"] for metric in listed} == {"home", "cart"}
    one = account.cloudwatch.list_metrics(Namespace="App", Dimensions=[{"Name": "Page", "Value": "cart"}])["Metrics"]
    assert len(one) == 1


def test_an_alarm_keeps_its_history(account, refused):
    watch = account.cloudwatch
    watch.put_metric_alarm(AlarmName="high", Namespace="App", MetricName="Load", Statistic="Average", Period=60,
                           EvaluationPeriods=2, Threshold=80, ComparisonOperator="GreaterThanOrEqualToThreshold")
    (alarm,) = watch.describe_alarms(AlarmNames=["high"])["MetricAlarms"]
    assert alarm["StateValue"] == "INSUFFICIENT_DATA" and alarm["Threshold"] == 80.0
    assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{account.id}:alarm:high"
    watch.set_alarm_state(AlarmName="high", StateValue="ALARM", StateReason="tried by hand")
    items = watch.describe_alarm_history(AlarmName="high", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert "to ALARM" in items[0]["HistorySummary"]
    watch.delete_alarms(AlarmNames=["high"])
    assert watch.describe_alarms(AlarmNames=["high"])["MetricAlarms"] == []
    with refused("ResourceNotFound"):
        watch.set_alarm_state(AlarmName="high", StateValue="OK", StateReason="gone")


def test_a_running_instance_is_measured(account):
    (instance,) = account.launch()
    of = [{"Name": "InstanceId", "Value": instance}]
    wait_for("CPUUtilization", lambda: account.cloudwatch.list_metrics(
        Namespace="AWS/EC2", MetricName="CPUUtilization", Dimensions=of)["Metrics"], 90)


def test_a_composite_alarm_follows_others(account, refused):
    cloudwatch = account.cloudwatch
    for name in ("one", "two"):
        cloudwatch.put_metric_alarm(AlarmName=name, Namespace="Tests", MetricName=name, Statistic="Sum", Period=60, EvaluationPeriods=1,
                                    Threshold=1, ComparisonOperator="GreaterThanThreshold")
    cloudwatch.put_composite_alarm(AlarmName="either", AlarmRule="ALARM(one) OR ALARM(two)")
    cloudwatch.get_waiter("composite_alarm_exists").wait(AlarmNames=["either"], AlarmTypes=["CompositeAlarm"])
    state = lambda: cloudwatch.describe_alarms(AlarmNames=["either"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]["StateValue"]
    wait_for("the first verdict", lambda: state() == "OK")
    cloudwatch.set_alarm_state(AlarmName="two", StateValue="ALARM", StateReason="a test")
    wait_for("the alarm", lambda: state() == "ALARM")
    with refused("ValidationError"):
        cloudwatch.put_composite_alarm(AlarmName="neither", AlarmRule="ALARM(nobody)")
    cloudwatch.delete_alarms(AlarmNames=["either", "one", "two"])


def test_a_dashboard_is_kept(account, refused):
    cloudwatch = account.cloudwatch
    assert cloudwatch.put_dashboard(DashboardName="ops", DashboardBody='{"widgets": []}')["DashboardValidationMessages"] == []
    assert cloudwatch.get_dashboard(DashboardName="ops")["DashboardBody"] == '{"widgets": []}'
    assert [entry["DashboardName"] for entry in cloudwatch.list_dashboards()["DashboardEntries"]] == ["ops"]
    cloudwatch.delete_dashboards(DashboardNames=["ops"])
    with refused("ResourceNotFound"):
        cloudwatch.get_dashboard(DashboardName="ops")
