using System.Text;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Http.Http1;

/// <content>How a connection comes to its end: refusals, the last words, and time.</content>
internal sealed partial class Http1ServerConnection
{
    /// <summary>Bytes of a request nobody wants any more that are taken so that the client comes to read its answer.</summary>
    public const int MaxWaste = 1024 * 1024;

    /// <summary>No request is taken any more. Says FIN behind what is in the queue and waits, within bounds, for the client to do the same.</summary>
    private void Close(Http1End end)
    {
        _closing = end;
        _reading = Reading.Waste;
        Output.EndWhenWritten();
        Arm(_options.Linger);
        Resume();
    }

    private void Waste(int bytes)
    {
        _wasted += bytes;
        if (_wasted <= MaxWaste) return;
        if (_reading == Reading.Body) Close(new Http1End(Http1EndKind.Closed));
        End(_closing, abort: false);
    }

    private void MalformedBody(Http1Fault fault)
    {
        var end = new Http1End(Http1EndKind.Malformed, fault);
        Input.Release();
        if (!IsBusy)
        {
            Close(end);
            return;
        }

        var answered = Outgoing.HasStarted;
        CloseStream().OnClosed(this, new StreamFault(StreamFaultKind.Malformed, Http2ErrorCode.ProtocolError));
        if (answered) End(end, abort: true);
        else Refuse(Http1Faults.Status(fault), Http1Faults.Sentence(fault), end);
    }

    private void Refuse(int status, string sentence, Http1End end)
    {
        var text = Encoding.ASCII.GetBytes(sentence + "\n");
        Span<byte> digits = stackalloc byte[3];
        status.TryFormat(digits, out _);
        var fields = Block;
        fields.Clear();
        fields.Add(FieldName.Status, digits);
        fields.Add(FieldName.ContentType, "text/plain"u8);
        fields.Add(FieldName.L5dProxyError, text.AsSpan(0, sentence.Length));
        Write(fields, new HeadForm(HttpVersion.Http11, BodyFraming.OfLength(text.Length)) { Connection = ConnectionOptions.Close });
        Output.Append(text);
        ReleaseBlock();
        Input.Release();
        Close(end);
    }

    private void Arm(TimeSpan limit)
    {
        _timer.Stop();
        if (limit != Timeout.InfiniteTimeSpan) _timer.Arm((long)limit.TotalMilliseconds);
    }

    private void OutOfTime()
    {
        if (HasEnded) return;
        if (_reading == Reading.Head)
        {
            if (IsIdle) End(new Http1End(Http1EndKind.IdleTimeout), abort: false);
            else Refuse(408, "The head of the request took too long.", new Http1End(Http1EndKind.HeadTimeout));
        }
        else if (Output.Size > 0)
        {
            // The time runs from when the client could have everything.
            Arm(_options.Linger);
        }
        else if (_reading == Reading.Body)
        {
            Close(new Http1End(Http1EndKind.Closed));
        }
        else
        {
            End(_closing, abort: false);
        }
    }
}
