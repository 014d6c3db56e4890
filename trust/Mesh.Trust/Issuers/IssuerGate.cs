using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Issuers;

/// <summary>
/// The one gate between issuer material, whoever made it, and its first signature. Refuses what some verifier would refuse later, when
/// it would be an outage, and says what to do about it. Ends with a trial: an SVID for a name of this trust domain is signed, thrown
/// away, and must verify in the way proxies verify.
/// </summary>
public static class IssuerGate
{
    /// <summary>Authorities between an SVID and its anchor that are looked for.</summary>
    public const int MaxDepth = 8;

    /// <summary>Examines material at the time it is now.</summary>
    /// <param name="anchors">The anchors that proxies hold, of the trust domain to issue for.</param>
    public static IssuerExamination Examine(IssuerMaterial material, TrustBundle anchors, IssuancePolicy policy, AnchorRule rule, TimeProvider time) =>
        new Visit(material, anchors, policy, rule, time).Run();

    private sealed class Visit(IssuerMaterial material, TrustBundle anchors, IssuancePolicy policy, AnchorRule rule, TimeProvider time)
    {
        private readonly ImmutableArray<IssuerRemark>.Builder _remarks = ImmutableArray.CreateBuilder<IssuerRemark>();
        private readonly List<Certificate> _path = [];
        private readonly DateTimeOffset _now = time.GetUtcNow();
        private DateTimeOffset? _validFrom;
        private Certificate? _unknownRoot;
        private SvidIssuer? _issuer;

        private Certificate Subject => _path[0];

        private Certificate Anchor => _path[^1];

        public IssuerExamination Run()
        {
            var problem = FindSubject() ?? CheckProfile() ?? CheckDates() ?? BuildPath() ?? CheckPath() ?? CheckSubjects() ?? Try();
            return new IssuerExamination(problem is null ? _issuer : null, problem, problem is null ? _remarks.ToImmutable() : [], _validFrom, _unknownRoot);
        }

        private IssuerProblem? FindSubject()
        {
            if (anchors.X509Authorities.IsEmpty) return new IssuerProblem(IssuerFault.NoAnchors);
            var mine = material.Certificates.FirstOrDefault(c => c.SubjectPublicKeyInfo.Span.SequenceEqual(material.Key.SubjectPublicKeyInfo.Span));
            if (mine is null) return new IssuerProblem(IssuerFault.KeyMismatch);
            _path.Add(mine);
            return null;
        }

        private IssuerProblem? CheckProfile()
        {
            if (!Subject.IsCa) return new IssuerProblem(IssuerFault.NotAuthority, Subject.ToString());
            if (Subject.KeyUsages is not { } usages || !usages.HasFlag(X509KeyUsageFlags.KeyCertSign)) return new IssuerProblem(IssuerFault.CannotSignCertificates, Subject.ToString());
            if (RestrictsUsage(Subject)) return new IssuerProblem(IssuerFault.ExtendedKeyUsage, Subject.ToString());
            if (Subject.HasUnknownCriticalExtension) return new IssuerProblem(IssuerFault.UnknownCriticalExtension);
            if (Subject.RawSubject.Span.SequenceEqual(CertificateFields.EmptyName)) return new IssuerProblem(IssuerFault.EmptySubject);
            if (usages.HasFlag(X509KeyUsageFlags.DigitalSignature)) _remarks.Add(IssuerRemark.MaySignData);
            if (Subject.SubjectKeyId.IsEmpty) _remarks.Add(IssuerRemark.NoSubjectKeyId);
            return CheckUriName();
        }

        private IssuerProblem? CheckUriName()
        {
            switch (Subject.UriNames.Length)
            {
                case 0:
                    _remarks.Add(IssuerRemark.NoUriName);
                    return null;
                case > 1:
                    return new IssuerProblem(IssuerFault.SeveralUriNames);
            }

            if (!SpiffeId.TryParse(Subject.UriNames[0], out var id, out var fault)) return new IssuerProblem(IssuerFault.BadUriName, fault.Sentence());
            if (id.TrustDomain != anchors.TrustDomain) return new IssuerProblem(IssuerFault.ForeignTrustDomain, $"{id.TrustDomain.Name}, not {anchors.TrustDomain.Name}");
            return id.IsRoot ? null : new IssuerProblem(IssuerFault.UriNameHasPath, id.ToString());
        }

        private IssuerProblem? CheckDates()
        {
            if (_now < Subject.NotBefore)
            {
                _validFrom = Subject.NotBefore;
                return new IssuerProblem(IssuerFault.NotYetValid, $"from {Subject.NotBefore:u}, now {_now:u}");
            }

            if (_now > Subject.NotAfter) return new IssuerProblem(IssuerFault.Expired, $"at {Subject.NotAfter:u}, now {_now:u}");
            // The whole lifetime, not what is left of it: an issuer near its end is still better than none after a restart.
            return Subject.NotAfter - Subject.NotBefore < 2 * policy.MaximumLifetime
                ? new IssuerProblem(IssuerFault.LifetimeTooShort, $"{Subject.NotAfter - Subject.NotBefore}, SVIDs up to {policy.MaximumLifetime}")
                : null;
        }

        /// <summary>Goes up from the issuer, preferring anchors, whatever the order of the file.</summary>
        private IssuerProblem? BuildPath()
        {
            var candidates = material.Certificates.Concat(material.Companions).Distinct().ToList();
            while (true)
            {
                var current = _path[^1];
                if (anchors.X509Authorities.Contains(current)) break;
                if (Parent(current, anchors.X509Authorities) is { } anchor)
                {
                    _path.Add(anchor);
                    break;
                }

                if (current.IsSelfIssued && current.VerifySignature(current))
                {
                    _unknownRoot = current;
                    return new IssuerProblem(IssuerFault.UnknownAnchor, $"{current.SubjectText}, SHA-256 {current.Sha256}");
                }

                if (Parent(current, candidates.Where(c => !_path.Contains(c))) is not { } parent || _path.Count > MaxDepth)
                    return new IssuerProblem(IssuerFault.ChainBroken, $"{current.IssuerText}, the issuer of {current.SubjectText}, is not at hand");
                _path.Add(parent);
            }

            RemarkOnFile();
            return null;
        }

        /// <summary>Of those whose name and key made <paramref name="child"/>: one that is valid now, and the longest of these.</summary>
        private Certificate? Parent(Certificate child, IEnumerable<Certificate> candidates) => candidates
            .Where(c => c.RawSubject.Span.SequenceEqual(child.RawIssuer.Span))
            .OrderByDescending(c => c.NotBefore <= _now && _now <= c.NotAfter)
            .ThenByDescending(c => c.NotAfter)
            .FirstOrDefault(child.VerifySignature);

        private void RemarkOnFile()
        {
            var above = material.Certificates.Where(_path.Contains).ToList();
            if (!above.SequenceEqual(_path.Take(above.Count))) _remarks.Add(IssuerRemark.OrderCorrected);
            if (_path.Count > 1 && material.Certificates.Contains(Anchor)) _remarks.Add(IssuerRemark.RootInFile);
            if (_path.Count == 1) _remarks.Add(IssuerRemark.IssuerIsAnchor);
        }

        private IssuerProblem? CheckPath()
        {
            if (!Anchor.IsSelfIssued)
            {
                if (rule == AnchorRule.SelfSigned) return new IssuerProblem(IssuerFault.AnchorIsIntermediate, Anchor.SubjectText);
                _remarks.Add(IssuerRemark.IntermediateAnchor);
            }

            var below = 0;
            foreach (var certificate in _path.Skip(1))
            {
                // RFC 5280 section 6.1.4 (l): self-issued certificates do not count.
                if (!_path[_path.IndexOf(certificate) - 1].IsSelfIssued) below++;
                if (!certificate.IsCa || certificate.KeyUsages is { } usages && !usages.HasFlag(X509KeyUsageFlags.KeyCertSign))
                    return new IssuerProblem(IssuerFault.ParentNotAuthority, certificate.SubjectText);
                if (certificate.PathLength < below) return new IssuerProblem(IssuerFault.ParentPathLength, $"{certificate.SubjectText} allows {certificate.PathLength}");
                if (RestrictsUsage(certificate)) return new IssuerProblem(IssuerFault.ExtendedKeyUsage, certificate.SubjectText);
                if (_now < certificate.NotBefore || _now > certificate.NotAfter)
                {
                    var fault = certificate.Equals(Anchor) ? IssuerFault.AnchorNotValid : IssuerFault.ParentNotValid;
                    return new IssuerProblem(fault, $"{certificate.SubjectText} is valid from {certificate.NotBefore:u} to {certificate.NotAfter:u}, now {_now:u}");
                }
            }

            var end = _path.Min(c => c.NotAfter);
            if (end - _now < IssuancePolicy.ShortestLifetime) return new IssuerProblem(IssuerFault.EndsTooSoon, $"at {end:u}, now {_now:u}");
            if (end - _now < 2 * policy.MaximumLifetime) _remarks.Add(IssuerRemark.EndsSoon);
            return null;
        }

        private IssuerProblem? CheckSubjects()
        {
            foreach (var other in _path.Concat(anchors.X509Authorities))
            {
                if (!other.RawSubject.Span.SequenceEqual(Subject.RawSubject.Span)) continue;
                if (other.SubjectPublicKeyInfo.Span.SequenceEqual(Subject.SubjectPublicKeyInfo.Span)) continue;
                if (other.SubjectKeyId.IsEmpty || Subject.SubjectKeyId.IsEmpty) return new IssuerProblem(IssuerFault.AmbiguousSubject, Subject.SubjectText);
                if (!_remarks.Contains(IssuerRemark.SharedSubject)) _remarks.Add(IssuerRemark.SharedSubject);
            }

            if (_path.Any(c => c.HasNameConstraints) && !anchors.TrustDomain.Name.Contains('.', StringComparison.Ordinal)) _remarks.Add(IssuerRemark.ConstraintOnSingleLabel);
            return null;
        }

        private IssuerProblem? Try()
        {
            var sent = _path.Count == 1 ? _path : _path.Take(_path.Count - 1);
            _issuer = new SvidIssuer(anchors.TrustDomain, [.. sent], Anchor, material.Key, policy, time);
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new SvidRequest(SubjectKey.Of(key), SpiffeId.FromSegments(anchors.TrustDomain, "ns", "mesh", "sa", "trial"));
            // Linkerd's form of the name goes along, because a DNS constraint would refuse the SVIDs that carry one.
            var dnsName = new LinkerdName(anchors.TrustDomain, LinkerdName.DefaultControlPlaneNamespace).Of("mesh", "trial");
            if (dnsName.Length <= 253) request = request with { DnsNames = [dnsName] };
            IssuedSvid? svid;
            try
            {
                if (!_issuer.TryIssue(request, out svid, out var refusal)) return new IssuerProblem(IssuerFault.TrialRefused, refusal.Sentence());
            }
            catch (CryptographicException unable)
            {
                return new IssuerProblem(IssuerFault.TrialRefused, unable.Message);
            }

            var verdict = SvidVerifier.Verify(svid.Chain(), new TrustBundleSet(anchors), _now);
            if (verdict.IsValid) return null;
            var fault = verdict.Fault == SvidFault.NameConstraint ? IssuerFault.NameConstraint : IssuerFault.TrialRefused;
            return new IssuerProblem(fault, verdict.Sentence);
        }

        /// <summary>An extended key usage on an authority restricts everything below it (as Windows, OpenSSL and .NET see it).</summary>
        private static bool RestrictsUsage(Certificate authority) =>
            authority.ExtendedKeyUsages is { } usages
            && !usages.HasFlag(ExtendedKeyUsages.Any)
            && !(usages.HasFlag(ExtendedKeyUsages.ServerAuth) && usages.HasFlag(ExtendedKeyUsages.ClientAuth));
    }
}
