namespace Mesh.Spiffe.Renewal;

/// <summary>Why an attempt to get an SVID failed. A closed set: it is a metric label.</summary>
public enum RenewalFault
{
    None = 0,

    /// <summary>No trust anchors of the own trust domain are known, so no answer could be judged.</summary>
    NoTrustBundle = 1,

    /// <summary>The credential that proves who asks (a token file) could not be read.</summary>
    NoCredential = 2,

    /// <summary>The authority could not be reached or said that it cannot answer now.</summary>
    Unavailable = 3,

    /// <summary>The authority did not answer in time.</summary>
    TimedOut = 4,

    /// <summary>What answered did not prove to be the authority.</summary>
    AuthorityNotTrusted = 5,

    /// <summary>The authority refused the request.</summary>
    Refused = 6,

    /// <summary>The answer holds something that is not a certificate chain.</summary>
    Malformed = 7,

    /// <summary>The certificate in the answer does not verify against the trust bundle at this moment.</summary>
    NotVerifiable = 8,

    /// <summary>The certificate in the answer is for another identity.</summary>
    WrongIdentity = 9,

    /// <summary>The certificate in the answer is for another key.</summary>
    WrongKey = 10,
}

public static class RenewalFaults
{
    /// <summary>The fixed sentence for <paramref name="fault"/>.</summary>
    public static string Sentence(this RenewalFault fault) => fault switch
    {
        RenewalFault.None => "renewed",
        RenewalFault.NoTrustBundle => "no trust bundle for the own trust domain is known yet",
        RenewalFault.NoCredential => "the token to authenticate with cannot be read",
        RenewalFault.Unavailable => "the certificate authority is not available",
        RenewalFault.TimedOut => "the certificate authority did not answer in time",
        RenewalFault.AuthorityNotTrusted => "what answered did not prove to be the certificate authority",
        RenewalFault.Refused => "the certificate authority refused the request",
        RenewalFault.Malformed => "the answer is not a certificate chain",
        RenewalFault.NotVerifiable => "the certificate in the answer does not verify against the trust bundle",
        RenewalFault.WrongIdentity => "the certificate in the answer is for another identity",
        RenewalFault.WrongKey => "the certificate in the answer is for another key",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };

    /// <summary>The metric label for <paramref name="fault"/>.</summary>
    public static string Label(this RenewalFault fault) => fault switch
    {
        RenewalFault.None => "",
        RenewalFault.NoTrustBundle => "no_trust_bundle",
        RenewalFault.NoCredential => "no_credential",
        RenewalFault.Unavailable => "unavailable",
        RenewalFault.TimedOut => "timed_out",
        RenewalFault.AuthorityNotTrusted => "authority_not_trusted",
        RenewalFault.Refused => "refused",
        RenewalFault.Malformed => "malformed",
        RenewalFault.NotVerifiable => "not_verifiable",
        RenewalFault.WrongIdentity => "wrong_identity",
        RenewalFault.WrongKey => "wrong_key",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}

/// <summary>Thrown by an exchange that did not bring a certificate. Anything else an exchange throws is a defect and ends the renewal loop.</summary>
public sealed class SvidExchangeException : Exception
{
    public SvidExchangeException(RenewalFault fault, string message, Exception? inner = null) : base(message, inner) => Fault = fault;

    public RenewalFault Fault { get; }
}
