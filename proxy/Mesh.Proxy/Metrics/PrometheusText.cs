using System.Globalization;
using System.Text;

namespace Mesh.Proxy.Metrics;

/// <summary>One label of a sample. An empty value means the label is absent, as Prometheus has it.</summary>
internal readonly record struct MetricLabel(string Name, string Value)
{
    public static implicit operator MetricLabel((string Name, string Value) pair) => new(pair.Name, pair.Value);
}

/// <summary>Builds a page in Prometheus' text format, version 0.0.4. Families in order; samples of one family together.</summary>
internal sealed class PrometheusText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly StringBuilder _text = new(16 * 1024);
    private string _family = "";

    public void Counter(string name, string help) => Family(name, "counter", help);

    public void Gauge(string name, string help) => Family(name, "gauge", help);

    public void Histogram(string name, string help) => Family(name, "histogram", help);

    /// <summary>A sample of the family begun last.</summary>
    public void Sample(double value, params ReadOnlySpan<MetricLabel> labels) => Line("", labels, default, value);

    /// <summary>The samples of one histogram of the family begun last.</summary>
    public void Sample(LatencyHistogram histogram, params ReadOnlySpan<MetricLabel> labels)
    {
        long count = 0;
        for (var i = 0; i < histogram.Buckets.Labels.Length; i++)
        {
            count += histogram.CountAt(i);
            Line("_bucket", labels, ("le", histogram.Buckets.Labels[i]), count);
        }

        Line("_sum", labels, default, histogram.Sum);
        Line("_count", labels, default, count);
    }

    public override string ToString() => _text.ToString();

    private void Family(string name, string type, string help)
    {
        _family = name;
        _text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
    }

    private void Line(string suffix, ReadOnlySpan<MetricLabel> labels, MetricLabel last, double value)
    {
        _text.Append(_family).Append(suffix);
        var open = false;
        foreach (var label in labels) open = Label(label, open);
        if (last.Name is not null) open = Label(last, open);
        if (open) _text.Append('}');
        _text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
    }

    private bool Label(MetricLabel label, bool open)
    {
        if (label.Value.Length == 0) return open;
        _text.Append(open ? ',' : '{').Append(label.Name).Append("=\"");
        foreach (var c in label.Value)
        {
            _ = c switch
            {
                '\\' => _text.Append("\\\\"),
                '"' => _text.Append("\\\""),
                '\n' => _text.Append("\\n"),
                _ => _text.Append(c),
            };
        }

        _text.Append('"');
        return true;
    }
}
