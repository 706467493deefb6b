package reference

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// example is a block of a page that begins with curl, and what the page shows of its answer: status, type and body. The body
// is left out where curl writes it to a file.
var example = regexp.MustCompile("(?ms)^```sh\n(curl .*?)^```\n" + "(?:\n\\*\\*\\d+\\*\\* `[^`\n]*`\n" + "(?:\n```[a-z]*\n.*?^```\n)?)?")

// Examples sends the request of each curl command in the pages of docs that match pattern, and compares the answer with the one
// that the page shows below the command. With -update-docs it writes the answers. $NAME in a command is a value of variables.
//
// JSON is one line on the wire; a page shows it with line breaks and spaces between its tokens, see layOut. Everything else is
// compared byte for byte.
func Examples(t *testing.T, pattern string, variables map[string]string, send func(*testing.T, *http.Request) *http.Response) {
	pages, err := filepath.Glob(filepath.Join(docs(t), pattern))
	if err != nil || len(pages) == 0 {
		t.Fatalf("docs has no page %s (%v)", pattern, err)
	}
	for _, path := range pages {
		t.Run(filepath.Base(path), func(t *testing.T) {
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			now := example.ReplaceAllStringFunc(string(whole), func(shown string) string {
				command := example.FindStringSubmatch(shown)[1]
				actual := shown
				t.Run(strings.TrimSpace(command), func(t *testing.T) {
					actual = run(t, command, variables, send)
					if actual != shown && !*update {
						t.Errorf("the answer is not the one of the page (make docs):\n%s", difference(shown, actual))
					}
				})
				return actual
			})
			if !*update || now == string(whole) || t.Failed() {
				return
			}
			if err := os.WriteFile(path, []byte(now), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// run sends the request of command and returns both as a page shows them.
func run(t *testing.T, command string, variables map[string]string, send func(*testing.T, *http.Request) *http.Response) string {
	c, err := parseCurl(command, variables)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = c.header
	answer := send(t, r)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	kind := answer.Header.Get("Content-Type")
	shown := fmt.Sprintf("```sh\n%s```\n\n**%d** `%s`\n", command, answer.StatusCode, kind)
	if c.toFile {
		return shown
	}
	media, _, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatalf("Content-Type %q: %v", kind, err)
	}
	language, text := "text", string(body)
	switch media {
	case "application/json":
		language = "json"
		if text, err = layOut(body); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	case "text/csv":
		language = "csv"
	}
	return shown + "\n```" + language + "\n" + strings.TrimRight(text, "\n") + "\n```\n"
}
