//! Paths, and the templates of routes that stand for many of them.

/// Whether a path, which is not decoded, is one of those that a template stands for.
pub(crate) fn is_path_of(template: &str, path: &[u8]) -> bool {
    let is_open = |segment: &str| segment.starts_with('{');
    let mut segments = path.split(|byte| *byte == b'/');
    let all = template.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|found| wanted.as_bytes() == found || is_open(wanted) && !found.is_empty())
    });
    all && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_path_of;

    #[test]
    fn a_template_stands_for_paths_of_as_many_segments() {
        for (template, path, expected) in [
            ("/metrics", "/metrics", true),
            ("/metrics", "/metrics/", false),
            ("/v1/sales/{sale}", "/v1/sales/PWTC", true),
            ("/v1/sales/{sale}", "/v1/sales/", false),
            ("/v1/sales/{sale}", "/v1/sales", false),
            ("/v1/sales/{sale}", "/v1/sales/PWTC/reservations", false),
            ("/", "/", true),
            ("/", "*", false),
        ] {
            assert_eq!(is_path_of(template, path.as_bytes()), expected, "{template} {path}");
        }
    }
}
