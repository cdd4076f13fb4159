//! Reads every Rust file of the crates and fails when files take names from each other in a circle: arrows go down only,
//! also between files. An arrow leads from a file that uses a name to the file that defines it, through re-exports. That a
//! module puts its own children together is no arrow: what they share may stand in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, UseTree};

/// Crates that know the contract of a log and not where it is kept: that is decided where the server is put together.
const ANY_LOG: &[&str] = &["connect", "edge", "node", "sinks"];
/// What they do not name, outside of tests.
const FILE_LOG: [&str; 2] = ["onrush_log", "file"];

/// Folders in which each folder is a room of its own: what one capability or one scenario needs of another stands above both.
const ROOMS: &[&str] = &["crates/edge/src/api", "crates/edge/src/scenarios"];

/// Stands for every name of a module.
const ALL: &str = "*";

/// The path of a module from the root of its crate.
type ModulePath = Vec<String>;

/// Where a name leads: the file that defines it, or a module.
enum Target {
    File(usize),
    Module(ModulePath),
}

#[derive(Default)]
struct Module {
    file: usize,
    /// What stands there itself.
    defined: BTreeSet<String>,
    /// What it imports, by the name that it gets, with the path as written.
    imported: BTreeMap<String, Vec<String>>,
}

#[derive(Default)]
struct Crate {
    files: Vec<PathBuf>,
    modules: BTreeMap<ModulePath, Module>,
    /// Paths that stand in the code of a module: the module and the path.
    used: Vec<(ModulePath, Vec<String>)>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut read = Self::default();
        let directory = root.parent().expect("a file lies in a directory").to_owned();
        read.read_file(root, &directory, ModulePath::new());
        read
    }

    fn read_file(&mut self, path: &Path, children: &Path, module: ModulePath) {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let syntax = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.files.push(path.to_owned());
        let file = self.files.len() - 1;
        self.read_items(&syntax.items, file, children, module);
    }

    fn read_items(&mut self, items: &[Item], file: usize, children: &Path, module: ModulePath) {
        let mut here = Module { file, ..Module::default() };
        let mut paths = Paths::default();
        for item in items.iter().filter(|item| !is_for_tests(attributes_of(item))) {
            match item {
                Item::Mod(inner) => {
                    let name = inner.ident.to_string();
                    let mut below = module.clone();
                    below.push(name.clone());
                    if let Some((_, items)) = &inner.content {
                        self.read_items(items, file, &children.join(&name), below);
                    } else {
                        let flat = children.join(format!("{name}.rs"));
                        let nested = children.join(&name).join("mod.rs");
                        let path = if flat.exists() { flat } else { nested };
                        self.read_file(&path, &children.join(&name), below);
                    }
                }
                Item::Use(ItemUse { tree, .. }) => collect_imports(tree, &mut Vec::new(), &mut here.imported),
                item => {
                    here.defined.extend(name_of(item));
                    paths.visit_item(item);
                }
            }
        }
        self.used.extend(paths.found.into_iter().map(|path| (module.clone(), path)));
        self.modules.insert(module, here);
    }

    /// Where a path of a module leads; nothing if it leaves the crate or names nothing that was seen.
    fn resolve(&self, module: &ModulePath, path: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        // Re-exports of re-exports end some time; one of itself does not compile.
        if depth > 16 {
            return None;
        }
        match first.as_str() {
            "crate" => self.walk(ModulePath::new(), rest, depth),
            "self" => self.walk(module.clone(), rest, depth),
            "super" => self.walk(module[..module.len().checked_sub(1)?].to_vec(), rest, depth),
            _ => self.walk(module.clone(), path, depth),
        }
    }

    fn walk(&self, mut module: ModulePath, path: &[String], depth: usize) -> Option<Target> {
        let Some((first, rest)) = path.split_first() else { return Some(Target::Module(module)) };
        if first == ALL {
            return Some(Target::File(self.modules.get(&module)?.file));
        }
        if first == "super" {
            module.pop()?;
            return self.walk(module, rest, depth);
        }
        let mut below = module.clone();
        below.push(first.clone());
        if self.modules.contains_key(&below) {
            return self.walk(below, rest, depth);
        }
        let here = self.modules.get(&module)?;
        if here.defined.contains(first) {
            return Some(Target::File(here.file));
        }
        match self.resolve(&module, here.imported.get(first)?, depth + 1)? {
            Target::Module(module) if !rest.is_empty() => self.walk(module, rest, depth + 1),
            target => Some(target),
        }
    }

    /// Whether a file belongs to a module below this one.
    fn is_below(&self, file: usize, module: &ModulePath) -> bool {
        self.modules.iter().any(|(path, other)| other.file == file && path.starts_with(module))
    }

    /// The arrows between files, each with the names that make it.
    fn arrows(&self) -> BTreeMap<(usize, usize), BTreeSet<String>> {
        let mut arrows: BTreeMap<(usize, usize), BTreeSet<String>> = BTreeMap::new();
        let imports = self.modules.iter().flat_map(|(module, here)| {
            // What is passed on to others is not used here.
            here.imported.values().map(move |path| (module, path))
        });
        let used = self.used.iter().map(|(module, path)| (module, path));
        let is_passed_on = |module: &ModulePath, path: &Vec<String>| {
            let name = path.last().expect("a path has a name");
            if name == ALL {
                return false;
            }
            let stands_in_code =
                self.used.iter().any(|(user, used)| user == module && used.first() == Some(name));
            self.modules[module].imported.values().any(|import| import == path) && !stands_in_code
        };
        for (module, path) in imports.filter(|(module, path)| !is_passed_on(module, path)).chain(used) {
            let from = self.modules[module].file;
            if let Some(Target::File(to)) = self.resolve(module, path, 0)
                && to != from
                && !self.is_below(to, module)
            {
                arrows.entry((from, to)).or_default().insert(path.join("::"));
            }
        }
        arrows
    }
}

/// All paths that stand in an item.
#[derive(Default)]
struct Paths {
    found: BTreeSet<Vec<String>>,
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.found.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut imported = BTreeMap::new();
        collect_imports(&item.tree, &mut Vec::new(), &mut imported);
        self.found.extend(imported.into_values());
    }

    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        // The arguments of the usual macros are expressions; those of others are not looked into.
        if let Ok(arguments) =
            mac.parse_body_with(syn::punctuated::Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated)
        {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        }
        visit::visit_macro(self, mac);
    }
}

fn collect_imports(tree: &UseTree, before: &mut Vec<String>, imported: &mut BTreeMap<String, Vec<String>>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            collect_imports(&path.tree, before, imported);
            before.pop();
        }
        UseTree::Group(group) => {
            group.items.iter().for_each(|tree| collect_imports(tree, before, imported));
        }
        UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = before.last() {
                imported.insert(last.clone(), before.clone());
            }
        }
        UseTree::Name(name) => {
            let path = before.iter().cloned().chain([name.ident.to_string()]);
            imported.insert(name.ident.to_string(), path.collect());
        }
        UseTree::Rename(rename) => {
            let path = before.iter().cloned().chain([rename.ident.to_string()]);
            imported.insert(rename.rename.to_string(), path.collect());
        }
        UseTree::Glob(_) => {
            let path: Vec<String> = before.iter().cloned().chain([ALL.to_owned()]).collect();
            imported.insert(path.join("::"), path);
        }
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => &[],
    }
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.meta.require_list().is_ok_and(|list| list.tokens.to_string() == "test")
    })
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Sets of files of which each leads to every other: the strongly connected components (Tarjan, 1972) of more than one
/// file, found here by what each file reaches.
fn circles(file_count: usize, arrows: impl Iterator<Item = (usize, usize)>) -> Vec<BTreeSet<usize>> {
    let mut next = vec![BTreeSet::new(); file_count];
    for (from, to) in arrows {
        next[from].insert(to);
    }
    let reached: Vec<BTreeSet<usize>> = (0..file_count)
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut waiting = vec![start];
            while let Some(file) = waiting.pop() {
                waiting.extend(next[file].iter().copied().filter(|to| seen.insert(*to)));
            }
            seen
        })
        .collect();
    let mut found = BTreeSet::new();
    for file in 0..file_count {
        let circle: BTreeSet<usize> = (0..file_count)
            .filter(|other| reached[file].contains(other) && reached[*other].contains(&file))
            .collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

/// The circles of the crate whose first file is `root`, each arrow with the names that make it and with paths relative to
/// `workspace`.
fn circles_of(root: &Path, workspace: &Path) -> Vec<String> {
    let read = Crate::read(root);
    let arrows = read.arrows();
    let shown = |file: usize| {
        read.files[file].strip_prefix(workspace).unwrap_or(&read.files[file]).display().to_string()
    };
    let mut found = Vec::new();
    for circle in circles(read.files.len(), arrows.keys().copied()) {
        let inner = arrows.iter().filter(|((from, to), _)| circle.contains(from) && circle.contains(to));
        let lines = inner.map(|((from, to), names)| {
            let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
            format!("{} -> {}: {names}", shown(*from), shown(*to))
        });
        found.push(lines.collect::<Vec<_>>().join("\n"));
    }
    found
}

#[test]
fn no_files_lead_to_each_other() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let crates = std::fs::read_dir(workspace.join("crates")).expect("read the crates");
    let crates = crates.map(|entry| entry.expect("read the crates").path());
    let directories =
        crates.chain(["bench", "e2e", "proxy", "sim", "xtask"].map(|name| workspace.join(name)));
    let roots = directories.flat_map(|crate_| ["src/lib.rs", "src/main.rs"].map(|root| crate_.join(root)));
    let roots: Vec<_> = roots.filter(|root| root.exists()).collect();
    assert!(roots.len() >= 9, "the crates were read");
    let found: Vec<_> = roots.iter().flat_map(|root| circles_of(root, workspace)).collect();
    assert!(
        found.is_empty(),
        "these files take names from each other in a circle:\n{}\n",
        found.join("\n\n")
    );
}

#[test]
fn only_the_server_says_where_a_log_is_kept() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let mut problems = Vec::new();
    for name in ANY_LOG {
        let read = Crate::read(&workspace.join("crates").join(name).join("src/lib.rs"));
        let imported =
            read.modules.values().flat_map(|module| module.imported.values().map(|path| (module.file, path)));
        let used = read.used.iter().map(|(module, path)| (read.modules[module].file, path));
        for (file, path) in
            imported.chain(used).filter(|(_, path)| path.starts_with(&FILE_LOG.map(str::to_owned)))
        {
            problems.push(format!("{} names {}", read.files[file].display(), path.join("::")));
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// The folder in `parent` that `file` lies in, if it lies in one.
fn room_of<'a>(file: &'a Path, parent: &Path) -> Option<&'a Path> {
    let below = file.strip_prefix(parent).ok()?;
    (below.components().count() > 1)
        .then(|| Path::new(below.components().next().expect("it has two").as_os_str()))
}

/// Each arrow between two rooms of the same folder, in words.
fn arrows_between_rooms(read: &Crate, parent: &Path) -> Vec<String> {
    let arrows = read.arrows();
    let between = arrows.iter().filter_map(|(&(from, to), names)| {
        let (from, to) = (room_of(&read.files[from], parent)?, room_of(&read.files[to], parent)?);
        let names = names.iter().cloned().collect::<Vec<_>>().join(", ");
        (from != to).then(|| format!("{} -> {}: {names}", from.display(), to.display()))
    });
    between.collect()
}

#[test]
fn no_capability_and_no_scenario_names_another() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace");
    let edge = Crate::read(&workspace.join("crates/edge/src/lib.rs"));
    for parent in ROOMS.iter().map(|parent| workspace.join(parent)) {
        let rooms: BTreeSet<_> = edge.files.iter().filter_map(|file| room_of(file, &parent)).collect();
        assert!(rooms.len() >= 3, "{} has only the rooms {rooms:?}", parent.display());
        let arrows = arrows_between_rooms(&edge, &parent);
        assert!(arrows.is_empty(), "put what both need above them:\n{}", arrows.join("\n"));
    }
}

#[test]
fn an_arrow_between_rooms_is_found() {
    let directory = tempfile::tempdir().expect("make a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
        std::fs::write(path, text).expect("write a file");
    };
    write("lib.rs", "mod api;");
    write("api/mod.rs", "mod a; mod b; pub struct Shared;");
    write("api/a/mod.rs", "use super::Shared; use super::b::Inner; fn f(_: Shared, _: Inner) {}");
    write("api/b/mod.rs", "pub struct Inner;");
    let arrows =
        arrows_between_rooms(&Crate::read(&directory.path().join("lib.rs")), &directory.path().join("api"));
    assert_eq!(arrows, ["a -> b: Inner, super::b::Inner"]);
}

#[test]
fn a_circle_is_found_through_a_re_export_and_no_other() {
    let directory = tempfile::tempdir().expect("make a directory");
    let write = |name: &str, text: &str| {
        std::fs::write(directory.path().join(name), text).expect("write a file");
    };
    let found = || circles_of(&directory.path().join("lib.rs"), directory.path());
    write("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use b::B; pub fn all() { c::g(); }");
    write("a.rs", "pub struct A(crate::B);");
    write("b.rs", "pub struct B; fn f() -> Vec<u8> { vec![crate::c::g()] }");
    write("c.rs", "pub fn g() -> u8 { 1 } #[cfg(test)] mod tests { use crate::A; }");
    assert_eq!(found(), [""; 0]);
    write("c.rs", "pub fn g() -> u8 { let _ = crate::A; 1 }");
    assert_eq!(found(), ["a.rs -> b.rs: crate::B\nb.rs -> c.rs: crate::c::g\nc.rs -> a.rs: crate::A"]);
    write("c.rs", "use crate::a::*; pub fn g() -> u8 { let _ = A; 1 }");
    assert_eq!(found(), ["a.rs -> b.rs: crate::B\nb.rs -> c.rs: crate::c::g\nc.rs -> a.rs: crate::a::*"]);
}
