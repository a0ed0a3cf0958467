/// Who makes reports.
public enum ReportMaker {
    /// The number of this release.
    package static let number = "0.1.0"

    /// MiniVMM's version as reports give it: the number and, where it is known, the commit, as Semantic Versioning adds
    /// metadata of a build: `0.1.0+0123456789ab`.
    public static let version = version(number, commit: commit)

    /// MiniVMM's name and version for people: `minivmm 0.1.0 (0123456789ab)`.
    package static let title = title(number, commit: commit)

    /// The commit that the sources are of; nil in a working tree, which may differ from every commit.
    private static let commit = commit(in: archived)

    /// `git archive` puts the commit's hash between the dollar signs (`export-subst` in .gitattributes). So whoever builds
    /// an archive of a commit, by `Scripts/release` or by hand, and without git, gets a program that names it.
    private static let archived = "$Format:%H$"

    /// The first digits of a commit's hash, if a text is one.
    package static func commit(in text: String) -> String? {
        let isHash = text.utf8.count >= 40 && text.utf8.allSatisfy { "0123456789abcdef".utf8.contains($0) }
        return isHash ? String(text.prefix(12)) : nil
    }

    /// The version of a release or of a commit.
    package static func version(_ number: String, commit: String?) -> String {
        commit.map { "\(number)+\($0)" } ?? number
    }

    /// The same for people.
    package static func title(_ number: String, commit: String?) -> String {
        commit.map { "minivmm \(number) (\($0))" } ?? "minivmm \(number)"
    }
}
