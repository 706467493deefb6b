package main

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sunspool/internal/testservices"
)

var manuals = []string{"sunspool.1", "sunspool-edge.8", "sunspool-vps.8", "sunspool.env.5"}

// manual is what `sunspool man` prints of a page.
func manual(t *testing.T, page string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"man", page}, &out, &errs); code != 0 {
		t.Fatalf("sunspool man %s exits %d: %s", page, code, &errs)
	}
	return out.Bytes()
}

// plain is a page without what is roff in its words.
func plain(page []byte) string {
	return strings.NewReplacer(`\-`, "-", `\fB`, "", `\fI`, "", `\fR`, "", `\(aq`, "'").Replace(string(page))
}

func TestManualHasEveryCommandFlagAndVariable(t *testing.T) {
	line := new(commands).line()
	overview, env := plain(manual(t, "sunspool.1")), plain(manual(t, "sunspool.env.5"))
	seen := 0
	for _, n := range append(line.Commands(line.Root), line.Root) {
		if n.Hidden {
			continue
		}
		if n != line.Root && !strings.Contains(overview, "\n.SS "+n.CommandPath()) {
			t.Errorf("sunspool.1 does not have %s", n.CommandPath())
		}
		for _, f := range line.Flags(n) {
			seen++
			if !f.Hidden && !f.IsSecret() && !regexp.MustCompile(`--`+f.Name+`\b`).MatchString(overview) {
				t.Errorf("sunspool.1 does not have --%s", f.Name)
			}
			if f.Env != "" && !regexp.MustCompile(`\b`+f.Env+`\b`).MatchString(overview+env) {
				t.Errorf("neither sunspool.1 nor sunspool.env.5 has %s", f.Env)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d flags were seen", seen)
	}
	var printed bytes.Buffer
	run(t.Context(), []string{"env"}, &printed, &printed)
	for _, found := range regexp.MustCompile(`(?m)^#([A-Z0-9_]+)=`).FindAllStringSubmatch(printed.String(), -1) {
		if !strings.Contains(env, "\n.TP\n"+found[1]) {
			t.Errorf("sunspool.env.5 does not have %s", found[1])
		}
	}
}

// What is written by hand names settings, too: they must be there.
func TestManualNamesNoVariableThatIsNone(t *testing.T) {
	var printed bytes.Buffer
	run(t.Context(), []string{"env"}, &printed, &printed)
	known := append(regexp.MustCompile(`[A-Z0-9]+(_[A-Z0-9]+)+`).FindAllString(printed.String(), -1), "IMPORT_FROM", "COPY_FROM", "COPY_TO", "PUBLIC_URL", "SUNSPOOL_TOKEN", "NO_COLOR")
	for _, page := range manuals {
		for _, name := range regexp.MustCompile(`\b[A-Z]+(_[A-Z0-9]+)+\b`).FindAllString(plain(manual(t, page)), -1) {
			if !slices.Contains(known, name) {
				t.Errorf("%s has %s, which is no setting", page, name)
			}
		}
	}
}

func TestManualIsTheSameEachTime(t *testing.T) {
	for _, page := range manuals {
		one := manual(t, page)
		for range 5 {
			if again := manual(t, page); !bytes.Equal(again, one) {
				t.Errorf("%s is another one the second time", page)
			}
		}
		if bytes.Contains(one, []byte("@")) && regexp.MustCompile(`@[a-z]+@`).Match(one) {
			t.Errorf("%s has a place that was not filled in", page)
		}
	}
}

func TestManualIsCleanAndFitsATerminal(t *testing.T) {
	groff := testservices.Need(t, "groff-base", "groff")
	for _, page := range manuals {
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Tascii", "-P-cbou", "-rLL=78n")
		cmd.Stdin = bytes.NewReader(manual(t, page))
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil || errs.Len() > 0 {
			t.Errorf("%s: groff says %v\n%s", page, err, &errs)
		}
		for line := range strings.Lines(out.String()) {
			if len(line) > 80 {
				t.Errorf("%s: wider than 79: %s", page, line)
			}
		}
		if !regexp.MustCompile(`(?m)^NAME\n +` + regexp.QuoteMeta(page[:len(page)-2]) + ` - [a-z]`).Match(out.Bytes()) {
			t.Errorf("%s has no NAME that whatis understands:\n%.400s", page, &out)
		}
	}
}
