package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What `make race` selects and leaves out are tests that there are: a test that gets another name stays selected.
func TestRaceSelectionNamesTests(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) (all string) {
		for _, m := range regexp.MustCompile(`(?m)^`+name+` := (.*)$`).FindAllStringSubmatch(string(makefile), -1) {
			all += "|" + strings.TrimPrefix(m[1], "$("+name+")|")
		}
		return strings.Trim(all, "|")
	}
	raced := regexp.MustCompile(`addprefix \./,([^)]*)\)`).FindStringSubmatch(value("raced"))
	if raced == nil {
		t.Fatal("no packages are raced")
	}
	for names, dirs := range map[string][]string{value("alone"): strings.Fields(raced[1]), value("whole"): {"edge", "vps", "vps/api", "demo"}} {
		if strings.Count(names, "|") < 10 {
			t.Errorf("only %q is selected", names)
		}
		var tests strings.Builder
		for _, dir := range dirs {
			files, err := filepath.Glob(dir + "/*_test.go")
			if err != nil || len(files) == 0 {
				t.Fatalf("%s has no tests: %v", dir, err)
			}
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				tests.Write(text)
			}
		}
		for name := range strings.SplitSeq(names, "|") {
			if !regexp.MustCompile(`(?m)^func Test\w*` + strings.TrimPrefix(name, ".*")).MatchString(tests.String()) {
				t.Errorf("%v: no test is named %s", dirs, name)
			}
		}
	}
}
