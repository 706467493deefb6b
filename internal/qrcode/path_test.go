package qrcode

import (
	"fmt"
	"strings"
	"testing"
)

// TestPathIsWhatTheTerminalShows: the same modules are dark.
func TestPathIsWhatTheTerminalShows(t *testing.T) {
	for _, link := range []string{"https://solar.example.org/#t=ssv_0123456789abcdef0123456789abcdef01234567", "x", strings.Repeat("https://a.example/", 60)} {
		picture, err := Of(link, false)
		if err != nil {
			t.Fatal(err)
		}
		want := modules(t, picture)
		path, err := PathOf(link)
		if err != nil {
			t.Fatal(err)
		}
		if path.Size != len(want[0]) {
			t.Fatalf("%d modules, want %d", path.Size, len(want[0]))
		}
		got := make([][]bool, path.Size)
		for y := range got {
			got[y] = make([]bool, path.Size)
		}
		for part := range strings.SplitSeq(strings.TrimSuffix(path.D, "z"), "z") {
			var x, y, width, back int
			if n, err := fmt.Sscanf(part, "M%d %dh%dv1H%d", &x, &y, &width, &back); n != 4 || err != nil || back != x || width < 1 {
				t.Fatalf("%q: %v", part, err)
			}
			for i := range width {
				got[y][x+i] = true
			}
		}
		for y := range got {
			for x := range got[y] {
				if got[y][x] != want[y][x] {
					t.Fatalf("%q: the module at %d, %d", link, x, y)
				}
			}
		}
	}
	if _, err := PathOf(strings.Repeat("x", 4000)); err == nil {
		t.Error("a text that no code holds was drawn")
	}
}
