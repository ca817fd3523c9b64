//! How far a role reaches: what binds the roles whose reach an installation may narrow. Which roles those are is decided
//! by who calls.

/// Where the roles on targets hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// In the whole cluster.
    Cluster,
    /// Where the chart's value `namespaces` says, and in the whole cluster when it says nothing.
    ChartValue,
}

/// A role and who holds it.
pub(super) struct Subject<'a> {
    /// The `ClusterRole`, without the installation's suffix.
    pub(super) role: &'a str,
    /// The ServiceAccount in the system namespace.
    pub(super) account: &'a str,
    /// More labels of the bindings, each after a line end.
    pub(super) labels: &'a str,
    /// Whether the role is of any use in a namespace alone.
    pub(super) in_namespaces: bool,
}

/// The bindings as YAML documents, each after its `---`, without a line end at the end.
pub(super) fn text(subject: &Subject<'_>, reach: Reach) -> String {
    let everywhere = document(subject, "ClusterRoleBinding", "");
    match reach {
        Reach::Cluster => everywhere,
        Reach::ChartValue => {
            let otherwise =
                format!("{{{{- if not .Values.namespaces }}}}\n{everywhere}\n{{{{- end }}}}");
            if !subject.in_namespaces {
                return otherwise;
            }
            let one = document(subject, "RoleBinding", "\n  namespace: {{ . | quote }}");
            format!("{otherwise}\n{{{{- range .Values.namespaces }}}}\n{one}\n{{{{- end }}}}")
        }
    }
}

fn document(subject: &Subject<'_>, kind: &str, namespace: &str) -> String {
    let text = include_str!("rbac/binding.yaml")
        .replace("<<binding>>", kind)
        .replace("<<bound>>", subject.role)
        .replace("<<bound-to>>", subject.account)
        .replace("<<in-namespace>>", namespace)
        .replace("<<more-labels>>", subject.labels);
    format!("---\n{}", text.trim_end())
}
