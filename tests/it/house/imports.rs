//! Which file of a crate imports which, read from the syntax of its source.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use syn::{
    Attribute, ItemFn, ItemImpl, ItemMod, ItemUse, Macro, MetaList, Path, UseTree, Visibility,
    buffer::{Cursor, TokenBuffer},
    visit::{self, Visit},
};

/// Names from the root of the crate, without `crate`: `["sessions", "Session"]`.
pub(super) type CratePath = Vec<String>;

/// For each file or room, those it imports.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The files of a crate, parsed. Code under `#[cfg(test)]` is left out.
pub(super) struct Crate {
    files: BTreeMap<String, SourceFile>,
    /// The file of each module.
    modules: BTreeMap<CratePath, String>,
}

#[derive(Default)]
struct SourceFile {
    /// The first names of paths that lead out of the crate, such as `actix_web`.
    external: BTreeSet<String>,
    /// Paths into the crate as written, made absolute.
    imports: BTreeSet<CratePath>,
    /// The names that `use` brings in, and the paths that they refer to.
    names: BTreeMap<String, CratePath>,
}

impl Crate {
    /// Parses files given as path (`src/…`) and text.
    pub(super) fn parse(sources: &BTreeMap<String, String>) -> Self {
        let modules: BTreeMap<CratePath, String> =
            sources.keys().map(|file| (module_of(file), file.clone())).collect();
        let files = sources.iter().map(|(file, text)| (file.clone(), parse_file(file, text, &modules)));
        Self { files: files.collect(), modules }
    }

    /// Files that use the foreign crate `name`.
    pub(super) fn files_using(&self, name: &str) -> BTreeSet<&str> {
        let files = self.files.iter().filter(|(_, file)| file.external.contains(name));
        files.map(|(path, _)| path.as_str()).collect()
    }

    /// Each file with the paths it writes, made absolute, before re-exports are followed.
    pub(super) fn written_paths(&self) -> impl Iterator<Item = (&str, &CratePath)> {
        self.files.iter().flat_map(|(path, file)| file.imports.iter().map(move |it| (path.as_str(), it)))
    }

    /// Whether a file has this module path.
    pub(super) fn has_file(&self, path: &[String]) -> bool {
        self.modules.contains_key(path)
    }

    /// Whether the path names a module, and not something else of the same name that its parent re-exports.
    pub(super) fn is_module(&self, path: &[String]) -> bool {
        self.has_file(path) && self.reexported(path).is_none()
    }

    /// The imports between files. A re-exported name leads to the file that defines it.
    pub(super) fn imports(&self) -> Graph {
        let mut graph = Graph::new();
        for (file, path) in self.written_paths() {
            let defined_in = self.files_defining(path);
            graph.entry(file.to_owned()).or_default().extend(defined_in.into_iter().filter(|it| it != file));
        }
        graph
    }

    /// What the last name of a path refers to in its parent module.
    fn reexported(&self, path: &[String]) -> Option<&CratePath> {
        let (name, parent) = path.split_last()?;
        self.files[self.modules.get(parent)?].names.get(name).filter(|it| *it != path)
    }

    /// The files behind a path: one, or several for a glob import of re-exports.
    fn files_defining(&self, path: &[String]) -> BTreeSet<String> {
        if let Some(original) = self.reexported(path) {
            return self.files_defining(original);
        }
        let found = (0..=path.len()).rev().find_map(|length| {
            let file = self.modules.get(&path[..length])?;
            Some((file, &path[length..]))
        });
        let Some((file, rest)) = found else { return BTreeSet::new() };
        let names = &self.files[file].names;
        match rest.first() {
            Some(glob) if glob == "*" && is_index(file) => {
                names.values().flat_map(|it| self.files_defining(it)).chain([file.clone()]).collect()
            }
            Some(name) if names.contains_key(name) => {
                self.files_defining(&[names[name].as_slice(), &rest[1..]].concat())
            }
            _ => BTreeSet::from([file.clone()]),
        }
    }
}

/// Whether the file only puts its folder together: `mod.rs`, `lib.rs` and `main.rs`.
pub(super) fn is_index(file: &str) -> bool {
    ["mod.rs", "lib.rs", "main.rs"].contains(&file.rsplit('/').next().unwrap())
}

/// `["sessions", "export"]` of `src/sessions/export/mod.rs`.
fn module_of(file: &str) -> CratePath {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: CratePath = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|it| it == "mod" || it == "lib") {
        module.pop();
    }
    module
}

fn parse_file(path: &str, text: &str, modules: &BTreeMap<CratePath, String>) -> SourceFile {
    let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut visitor = PathVisitor { module: module_of(path), uses: Vec::new(), paths: Vec::new() };
    visitor.visit_file(&syntax);
    resolve(&visitor, modules)
}

fn resolve(visitor: &PathVisitor, modules: &BTreeMap<CratePath, String>) -> SourceFile {
    let mut file = SourceFile::default();
    // A `use` may begin with a name that another one brings in.
    for _round in 0..2 {
        for item in &visitor.uses {
            if let Some(path) = absolute(&item.module, &item.path, &file.names, modules) {
                file.names.insert(item.name.clone(), path);
            }
        }
    }
    let uses = visitor.uses.iter().map(|it| (&it.module, &it.path));
    for (module, path) in uses.chain(visitor.paths.iter().map(|(module, path)| (module, path))) {
        match absolute(module, path, &file.names, modules) {
            Some(path) => _ = file.imports.insert(path),
            None => _ = file.external.insert(path[0].clone()),
        }
    }
    file
}

/// The path from the root of the crate, or `None` if it leads out of it.
fn absolute(
    module: &[String],
    path: &[String],
    names: &BTreeMap<String, CratePath>,
    modules: &BTreeMap<CratePath, String>,
) -> Option<CratePath> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let parent = &module[..module.len().checked_sub(1)?];
            if rest.first().is_some_and(|it| it == "super") {
                return absolute(parent, rest, names, modules);
            }
            Some([parent, rest].concat())
        }
        name if names.contains_key(name) => Some([names[name].as_slice(), rest].concat()),
        name => {
            let child = [module, &[name.to_owned()]].concat();
            modules.contains_key(&child).then(|| [child.as_slice(), rest].concat())
        }
    }
}

/// One name that a `use` brings in.
struct UseItem {
    /// The module the `use` is in.
    module: CratePath,
    path: Vec<String>,
    name: String,
}

/// Collects the paths of a file: those of `use`, of bodies and types, and of the arguments of macros and attributes.
struct PathVisitor {
    module: CratePath,
    uses: Vec<UseItem>,
    paths: Vec<(CratePath, Vec<String>)>,
}

impl PathVisitor {
    fn add_use(&mut self, tree: &UseTree, mut path: Vec<String>) {
        let name = match tree {
            UseTree::Path(it) => {
                path.push(it.ident.to_string());
                return self.add_use(&it.tree, path);
            }
            UseTree::Group(it) => {
                it.items.iter().for_each(|tree| self.add_use(tree, path.clone()));
                return;
            }
            UseTree::Name(it) => {
                path.push(it.ident.to_string());
                it.ident.to_string()
            }
            UseTree::Rename(it) => {
                path.push(it.ident.to_string());
                it.rename.to_string()
            }
            UseTree::Glob(_) => {
                path.push("*".to_owned());
                "*".to_owned()
            }
        };
        // `use a::{self}` brings in `a`.
        let is_self = path.len() > 1 && path.last().is_some_and(|it| it == "self");
        path.truncate(path.len() - usize::from(is_self));
        let name = if name == "self" { path[path.len() - 1].clone() } else { name };
        self.uses.push(UseItem { module: self.module.clone(), path, name });
    }

    fn add_path(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.push((self.module.clone(), path));
        }
    }

    /// The arguments of a macro or an attribute are tokens, not syntax.
    fn add_paths_in_tokens(&mut self, mut cursor: Cursor<'_>) {
        let mut path = Vec::new();
        while !cursor.eof() {
            if let Some((inside, _, _, rest)) = cursor.any_group() {
                self.add_paths_in_tokens(inside);
                cursor = rest;
            } else if let Some((ident, rest)) = cursor.ident() {
                path.push(ident.to_string());
                cursor = rest;
                if let Some(rest) = skip_double_colon(cursor) {
                    cursor = rest;
                    continue;
                }
            } else {
                cursor = cursor.token_tree().map_or_else(Cursor::empty, |(_, rest)| rest);
            }
            self.add_path(mem::take(&mut path));
        }
    }
}

fn skip_double_colon(cursor: Cursor<'_>) -> Option<Cursor<'_>> {
    let (first, rest) = cursor.punct()?;
    let (second, rest) = rest.punct()?;
    (first.as_char() == ':' && second.as_char() == ':').then_some(rest)
}

fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("cfg") && it.meta.require_list().is_ok_and(|it| it.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for PathVisitor {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test_only(&item.attrs) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if !is_test_only(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test_only(&item.attrs) {
            self.add_use(&item.tree, Vec::new());
        }
    }

    /// `pub(in crate::room)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        self.add_path(path.segments.iter().map(|it| it.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        visit::visit_macro(self, item);
        self.add_paths_in_tokens(TokenBuffer::new2(item.tokens.clone()).begin());
    }

    fn visit_meta_list(&mut self, list: &'ast MetaList) {
        visit::visit_meta_list(self, list);
        self.add_paths_in_tokens(TokenBuffer::new2(list.tokens.clone()).begin());
    }
}
