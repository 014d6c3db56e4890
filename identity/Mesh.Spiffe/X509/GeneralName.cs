using System.Text;

namespace Mesh.Spiffe.X509;

/// <summary>The forms of GeneralName (RFC 5280 section 4.2.1.6), by tag number.</summary>
internal enum GeneralNameForm
{
    Other = 0,
    Email = 1,
    Dns = 2,
    X400Address = 3,
    Directory = 4,
    EdiParty = 5,
    Uri = 6,
    IpAddress = 7,
    RegisteredId = 8,
}

/// <summary>One GeneralName: its form and its content, as raw as the certificate holds it (a directory name without its explicit tag).</summary>
internal readonly record struct GeneralName(GeneralNameForm Form, ReadOnlyMemory<byte> Value)
{
    /// <summary>The value byte by byte as characters. A byte above 127 is none that a name may hold, and whoever reads the name refuses it.</summary>
    public string Text => Encoding.Latin1.GetString(Value.Span);

    public static bool TryRead(ref DerReader reader, out GeneralName name)
    {
        name = default;
        if (!reader.TryReadAny(out var tag, out var content, out _) || (tag & 0xC0) != 0x80) return false;
        var form = (GeneralNameForm)(tag & 0x1F);
        var constructed = (tag & 0x20) != 0;
        switch (form)
        {
            case GeneralNameForm.Email or GeneralNameForm.Dns or GeneralNameForm.Uri or GeneralNameForm.IpAddress or GeneralNameForm.RegisteredId when !constructed:
            case GeneralNameForm.Other or GeneralNameForm.X400Address or GeneralNameForm.EdiParty when constructed:
                break;
            case GeneralNameForm.Directory when constructed:
                // Name is a CHOICE, so its tag is explicit (RFC 5280 appendix A.2): the name is the one value inside.
                var inner = new DerReader(content);
                if (!inner.TryRead(DerReader.Sequence, out _, out content) || !inner.IsEmpty || !DistinguishedName.IsWellFormed(content)) return false;
                break;
            default:
                return false;
        }

        name = new GeneralName(form, content);
        return true;
    }
}
