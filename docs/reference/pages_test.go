package reference

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Every link of a page to a file of this repository, and to a heading, leads there.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(docs(t), "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	links := 0
	for _, page := range append(pages, filepath.Join(root(t), "README.md")) {
		for _, found := range link.FindAllStringSubmatch(prose(t, page), -1) {
			to, err := url.Parse(found[1])
			if err != nil || to.Scheme != "" {
				continue
			}
			links++
			target := page
			if to.Path != "" {
				target = filepath.Join(filepath.Dir(page), filepath.FromSlash(to.Path))
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s leads to %s: %v", filepath.Base(page), found[1], err)
				continue
			}
			if to.Fragment == "" || !strings.HasSuffix(target, ".md") {
				continue
			}
			known := false
			for _, h := range heading.FindAllStringSubmatch(prose(t, target), -1) {
				known = known || anchor(strings.NewReplacer("`", "", "*", "").Replace(h[1])) == to.Fragment
			}
			if !known {
				t.Errorf("%s leads to %s, and that page has no such heading", filepath.Base(page), found[1])
			}
		}
	}
	if links < 50 {
		t.Errorf("%d links are found", links)
	}
}

// prose is a page without its code blocks.
func prose(t *testing.T, page string) string {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return fenced.ReplaceAllString(string(text), "")
}
