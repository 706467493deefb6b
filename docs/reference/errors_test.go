package reference

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every code that the program can give is in docs/errors.md, and no other.
func TestErrorsReference(t *testing.T) {
	s := load(t)
	Section(t, "errors.md", "exit", exitPage(s))
	Section(t, "errors.md", "faults", faultPage(t, s))
	Section(t, "errors.md", "answers", answerPage(t, s))
	Section(t, "errors.md", "verdicts", verdictPage(t, s))
	Section(t, "errors.md", "reasons", reasonPage(t, s))
}

// What is read from the source is held to what plainly is in its text.
func TestNoCodeInTheSourceIsOverlooked(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(docs(t), "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	plain := regexp.MustCompile(`(?:Code: *|\.Code = |\.Code, .* = |New\(\d+, |Invalid\(|refuse\(index, "[a-z_]+", )"([a-z_]+)"`)
	found := 0
	for _, role := range []string{"edge", "vps", "systemd", "demo", "cli", "settings", "wire", "."} {
		err := filepath.WalkDir(filepath.Join(root(t), role), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && role == "." && path != root(t):
				return fs.SkipDir
			case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
				return nil
			}
			text, err := os.ReadFile(path)
			for _, code := range plain.FindAllStringSubmatch(string(text), -1) {
				found++
				if strings.HasSuffix(code[1], "_") && strings.Contains(string(page), "\n### "+code[1]) {
					continue // the beginning of several
				}
				if !strings.Contains(string(page), "`"+code[1]+"`") && !strings.Contains(string(page), "\n### "+code[1]+"\n") {
					t.Errorf("%s gives %s, which docs/errors.md does not have", path, code[1])
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("%d codes are found", found)
	}
}

func exitPage(s *source) string {
	var b strings.Builder
	b.WriteString("| status | meaning |\n|---|---|\n| 0 | it is done |\n| 1 | it failed, for a reason that has no status of its own |\n")
	meanings := s.constants("sunspool/health", "Exit")
	statuses := sorted(meanings)
	slices.SortFunc(statuses, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	for _, status := range statuses {
		fmt.Fprintf(&b, "| %s | %s |\n", status, meanings[status])
	}
	return b.String()
}

// faultPage has a paragraph for each code of a fault: what, and of each advice what it is given for.
func faultPage(t *testing.T, s *source) string {
	type described struct {
		roles, what, exit []string
		whys              map[string][]string // by what is to be done about them
	}
	all := map[string]*described{}
	blocking := s.listed("sunspool/edge/report", "blocking")
	s.faults(func(f fault) {
		for _, code := range f.code {
			if strings.Contains(code, unknown) {
				t.Errorf("%s: the code of a fault is not in the source as a text or a constant", f.at)
			}
			d := all[code]
			if d == nil {
				d = &described{whys: map[string][]string{}}
				all[code] = d
			}
			d.roles = unique(append(d.roles, f.role))
			d.what = unique(append(d.what, f.what...))
			d.exit = unique(append(d.exit, f.exit...))
			next := strings.Join(few(f.next), "; or: ")
			d.whys[next] = unique(append(d.whys[next], few(f.why)...))
		}
	})
	delete(all, "") // what a block before it has not decided yet
	if len(all) < 60 || len(blocking) < 10 {
		t.Errorf("%d codes are found, %d of which block", len(all), len(blocking))
	}
	var b strings.Builder
	for _, code := range sorted(all) {
		d := all[code]
		slices.Sort(d.roles)
		fmt.Fprintf(&b, "### %s\n\n*%s*", code, strings.Join(d.roles, ", "))
		if slices.Contains(d.roles, "edge") && slices.Contains(blocking, code) {
			b.WriteString(", blocks the edge")
		}
		if exits := slices.DeleteFunc(d.exit, func(e string) bool { return e == "0" || e == "" || e == unknown }); len(exits) > 0 {
			slices.Sort(exits)
			b.WriteString(", exit status " + strings.Join(exits, " or "))
		}
		b.WriteString(": " + cmp.Or(said(several(d.what), "; or: "), unknown) + "\n\n| why | next |\n|---|---|\n")
		for _, next := range sorted(d.whys) {
			why := said(d.whys[next], "<br>")
			if next == "" && (why == "" || len(d.whys) > 1) {
				continue // another block adds to it
			}
			fmt.Fprintf(&b, "| %s | %s |\n", cmp.Or(why, unknown), cell(next))
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), "\n\n| why | next |\n|---|---|\n\n", "\n\n")
}

// said are the texts that say something, in order.
func said(texts []string, between string) string {
	var all []string
	for _, text := range visible(texts) {
		all = append(all, cell(text))
	}
	slices.Sort(all)
	return strings.Join(all, between)
}

// answerPage has a line for each refusal of the API.
func answerPage(t *testing.T, s *source) string {
	var lines []string
	for _, x := range s.entries("sunspool/vps/problem.Refusal") {
		if len(x.fields["Code"]) > 1 {
			continue // that of the first sample's verdict, see there
		}
		for _, code := range orNone(x.fields["Code"]) {
			for _, status := range orNone(x.fields["Status"]) {
				next := append(slices.Clone(x.fields["Next"]), x.fields[".WithNext"]...)
				for _, detail := range orNone(x.fields["Detail"]) {
					lines = append(lines, fmt.Sprintf("| %s | %s | %s | %s |\n", status, codeCell(code), cell(detail), cell(strings.Join(next, "; or: "))))
				}
			}
		}
	}
	if len(lines) < 10 {
		t.Errorf("%d answers are found", len(lines))
	}
	slices.Sort(lines)
	return "| status | code | detail | next |\n|---|---|---|---|\n" + strings.Join(slices.Compact(lines), "")
}

// verdictPage has a line for each reason not to store a sample.
func verdictPage(t *testing.T, s *source) string {
	all := map[string][]string{}
	for _, x := range append(s.entries("sunspool/vps/batch.Problem"), s.entries("sunspool/wire.Invalid")...) {
		text := append(slices.Clone(x.fields["What"]), x.fields["Detail"]...)
		if codes := x.fields["Code"]; len(codes) == 1 {
			all[codes[0]] = unique(append(all[codes[0]], text...))
		}
	}
	var b strings.Builder
	b.WriteString("| code | detail |\n|---|---|\n")
	for _, code := range sorted(all) {
		fmt.Fprintf(&b, "| %s | %s |\n", codeCell(code), said(all[code], "; or: "))
	}
	if len(all) < 5 {
		t.Errorf("%d verdicts are found", len(all))
	}
	return b.String()
}

// reasonPage has what an edge counts and keeps by reasons that are no codes of faults.
func reasonPage(t *testing.T, s *source) string {
	list := func(codes []string) string {
		codes = slices.DeleteFunc(codes, func(c string) bool { return c == "" || strings.Contains(c, unknown) })
		slices.Sort(codes)
		if len(codes) == 0 {
			t.Error("a list of reasons is empty")
		}
		return "`" + strings.Join(slices.Compact(codes), "`, `") + "`"
	}
	unmade := s.plain("sunspool/edge/reading", "Unusable", "Code")
	unmade = append(unmade, s.arguments("(*sunspool/edge/report.Report).Skipped", 0)...)
	unmade = append(unmade, s.plainOf("sunspool/edge/report.notMade result 0")...)
	var kept []string
	for _, of := range [][3]string{{"edge/spool/format", "Rejection", "Code"}, {"edge/upload", "refusal", "code"}, {"edge/spool/format", "QuarantinedSample", "Code"}} {
		kept = append(kept, s.plain("sunspool/"+of[0], of[1], of[2])...)
	}
	return "| where | codes, beside those of faults and verdicts |\n|---|---|\n" +
		"| `samples_not_made` in `health.json`, label `reason` of `sunspool_edge_samples_not_made_total` | " + list(unmade) + " |\n" +
		"| quarantine of the edge | " + list(kept) + " |\n"
}

func orNone(texts []string) []string {
	if len(texts) == 0 {
		return []string{""}
	}
	return texts
}

// visible are the texts that say something.
func visible(texts []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return strings.Trim(s, unknown+" :") == "" })
}

func codeCell(code string) string {
	if code == "" {
		return ""
	}
	return "`" + code + "`"
}

// cell makes a text fit for a cell of a table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;").Replace(text)
}
