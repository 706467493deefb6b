package web

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// link makes one script for each entry: of the modules that it needs and no earlier script has, each after those that it
// imports, all in the scope of one module. A script imports what it needs of an earlier one, which exports it at its end; it
// exports what its entry exports, for whoever loads it. link understands what our modules are written in, and no more:
//
//	import { a, b } from "./x.js";          of our own modules, without "as"
//	import { a as b } from "../vendor/y.js";  stays, once for all
//	export function, class, const or let    at the start of a line
//
// Comments of whole lines are left out, and so are types: they are for those who read the modules.
//
// Anything else at the start of a line that begins with import or export is an error, and so is a name that two modules have.
func link(modules map[string]string, entries ...string) (scripts []string, err error) {
	l := &linker{modules: modules, state: map[string]int{}, owner: map[string]string{}, script: map[string]*script{}}
	var all []*script
	for i, entry := range entries {
		l.now = &script{name: entry, names: map[string][]string{}}
		all = append(all, l.now)
		if err := l.add(entry, nil); err != nil {
			return nil, err
		}
		if i > 0 {
			for _, found := range exported.FindAllStringSubmatch(modules[entry], -1) {
				l.now.exports = append(l.now.exports, found[1])
			}
		}
	}
	for name := range modules {
		if l.state[name] == 0 {
			return nil, fmt.Errorf("%s is imported by no module", name)
		}
	}
	for _, s := range all {
		scripts = append(scripts, s.text())
	}
	return scripts, nil
}

type linker struct {
	modules map[string]string
	state   map[string]int     // 0 not seen, 1 being added, 2 added
	owner   map[string]string  // of a name at the top level
	script  map[string]*script // in which a module is
	now     *script
}

// script is what becomes of an entry.
type script struct {
	name    string
	order   []string            // of files that it imports
	names   map[string][]string // of each of them
	exports []string
	body    strings.Builder
}

// imports notes an import of a name, written as in its braces, once.
func (s *script) imports(from, name string) {
	if s.names[from] == nil {
		s.order = append(s.order, from)
		s.names[from] = []string{}
	}
	if name != "" && !slices.Contains(s.names[from], name) {
		s.names[from] = append(s.names[from], name)
	}
}

func (s *script) text() string {
	var all strings.Builder
	for _, from := range s.order {
		fmt.Fprintf(&all, "import { %s } from \"%s\";\n", strings.Join(s.names[from], ", "), from)
	}
	all.WriteString(s.body.String())
	if len(s.exports) > 0 {
		fmt.Fprintf(&all, "export { %s };\n", strings.Join(s.exports, ", "))
	}
	return all.String()
}

var (
	importing = regexp.MustCompile(`(?m)^import\s*(?:\{([^}]*)\}\s*from\s*)?["']([^"']+)["'];?[ \t]*\n`)
	moduleish = regexp.MustCompile(`(?m)^(?:import|export)\b.*$`)
	exporting = regexp.MustCompile(`(?m)^export (async function|function|class|const|let)\b`)
	declaring = regexp.MustCompile(`(?m)^(?:export )?(?:async function|function\*?|class|const|let|var)\b\s*\*?\s*(\{[^}=]*\}|\[[^\]=]*\]|[\w$]+)`)
	// comments are those of whole lines, and types in front of what they are of.
	comments = regexp.MustCompile(`(?m)^[ \t]*//.*\n|^[ \t]*/\*\*(?:[^*]|\*[^/])*\*/[ \t]*\n|/\*\* @(?:[^*\n]|\*[^/\n])*\*/ ?`)
	naming   = regexp.MustCompile(`^[\w$]+$`)
	exported = regexp.MustCompile(`(?m)^export (?:async function\*?|function\*?|class|const|let) ?([\w$]+)`)
)

// add writes a module behind those that it imports; way is how it was reached.
func (l *linker) add(name string, way []string) error {
	way = append(slices.Clone(way), name)
	source, ok := l.modules[name]
	switch {
	case !ok:
		return fmt.Errorf("%s: there is no such module", strings.Join(way, " imports "))
	case l.state[name] == 1:
		return fmt.Errorf("%s: a circle", strings.Join(way, " imports "))
	case l.state[name] == 2:
		return nil
	}
	l.state[name], l.script[name] = 1, l.now
	source = strings.ReplaceAll(source, "\r\n", "\n") + "\n"
	for _, found := range importing.FindAllStringSubmatch(source, -1) {
		if own, ok := strings.CutPrefix(found[2], "./"); ok {
			if strings.Contains(found[1], " as ") {
				return fmt.Errorf("%s imports from %s by another name", name, own)
			}
			if err := l.add(own, way); err != nil {
				return err
			}
			if err := l.exports(name, own, found[1]); err != nil {
				return err
			}
			continue
		}
		if err := l.vendor(name, found[2], found[1]); err != nil {
			return err
		}
	}
	source = importing.ReplaceAllString(source, "")
	for _, found := range declaring.FindAllStringSubmatch(source, -1) {
		for _, declared := range names(found[1]) {
			if err := l.own(declared, name); err != nil {
				return err
			}
		}
	}
	source = exporting.ReplaceAllString(source, "$1")
	if left := moduleish.FindString(source); left != "" {
		return fmt.Errorf("%s: cannot link %q", name, left)
	}
	source = comments.ReplaceAllString(source, "")
	fmt.Fprintf(&l.now.body, "// %s\n%s", name, strings.Trim(source, "\n")+"\n")
	l.state[name] = 2
	return nil
}

// exports checks that a module exports what another one imports of it, and lets it out of an earlier script.
func (l *linker) exports(into, from, list string) error {
	for _, name := range names(list) {
		if !slices.ContainsFunc(exported.FindAllStringSubmatch(l.modules[from], -1), func(found []string) bool { return found[1] == name }) {
			return fmt.Errorf("%s imports %s, which %s does not export", into, name, from)
		}
		earlier := l.script[from]
		if earlier == l.now {
			continue
		}
		l.now.imports("./"+earlier.name, name)
		if !slices.Contains(earlier.exports, name) {
			earlier.exports = append(earlier.exports, name)
		}
	}
	return nil
}

// vendor notes an import of a file that is not ours, once for all modules.
func (l *linker) vendor(name, from, list string) error {
	path, ok := strings.CutPrefix(from, "../")
	if !ok {
		return fmt.Errorf("%s imports %q, which is neither ./ nor ../", name, from)
	}
	path = "./" + path
	l.now.imports(path, "")
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" || slices.Contains(l.now.names[path], part) {
			continue
		}
		_, here, renamed := strings.Cut(part, " as ")
		if !renamed {
			here = part
		}
		if !naming.MatchString(strings.TrimSpace(here)) {
			return fmt.Errorf("%s imports %q of %s: only names, with or without as", name, part, from)
		}
		if err := l.own(strings.TrimSpace(here), path); err != nil {
			return err
		}
		l.now.imports(path, part)
	}
	return nil
}

// own notes who has a name.
func (l *linker) own(name, module string) error {
	if other := l.owner[name]; other != "" {
		return fmt.Errorf("%s and %s both have %s at the top level", other, module, name)
	}
	l.owner[name] = module
	return nil
}

// names are those of a list, or of a pattern { a, b: c, ...d }.
func names(list string) (all []string) {
	for part := range strings.SplitSeq(strings.Trim(list, "{}[] "), ",") {
		if _, renamed, ok := strings.Cut(part, ":"); ok {
			part = renamed
		}
		if part = strings.TrimLeft(strings.TrimSpace(part), "."); part != "" {
			all = append(all, part)
		}
	}
	return all
}
