package qrcode

import (
	"strings"
	"testing"
)

// modules reads the picture again: which modules are dark.
func modules(t *testing.T, picture string) (dark [][]bool) {
	t.Helper()
	for line := range strings.Lines(picture) {
		var above, below []bool
		for _, c := range strings.TrimSuffix(line, "\n") {
			i := strings.IndexRune(" ▄▀█", c)
			if i < 0 {
				t.Fatalf("%q is no half block", c)
			}
			above, below = append(above, c == ' ' || c == '▄'), append(below, c == ' ' || c == '▀')
		}
		dark = append(dark, above, below)
	}
	return dark
}

// TestCodeHasABorderAndItsFinders: what a camera looks for first, light and dark the right way round.
func TestCodeHasABorderAndItsFinders(t *testing.T) {
	const link = "https://solar.example.org/#t=0123456789abcdef0123456789abcdef01234567"
	picture, err := Of(link, false)
	if err != nil {
		t.Fatal(err)
	}
	dark := modules(t, picture)
	size := len(dark[0])
	if code := size - 2*quiet; code < 21 || (code-21)%4 != 0 || len(dark) != size+1 {
		t.Fatalf("%d lines of %d modules", len(dark), size)
	}
	for i := range size {
		for n := range quiet {
			if dark[n][i] || dark[size-1-n][i] || dark[i][n] || dark[i][size-1-n] {
				t.Fatalf("the border is dark at %d", i)
			}
		}
	}
	for _, corner := range [][2]int{{quiet, quiet}, {quiet, size - quiet - 7}, {size - quiet - 7, quiet}} {
		for y := range 7 {
			for x := range 7 {
				ring := max(max(3-y, y-3), max(3-x, x-3)) // 3 is the outer one
				if dark[corner[0]+y][corner[1]+x] != (ring != 2) {
					t.Fatalf("no finder at %v", corner)
				}
			}
		}
	}
	if other, _ := Of(strings.Replace(link, "4567", "4568", 1), false); other == picture {
		t.Error("two links look alike")
	}
}

// TestCodeHasItsOwnColours, each line by itself, because a terminal may be light.
func TestCodeHasItsOwnColours(t *testing.T) {
	plain, _ := Of("https://solar.example.org/", false)
	coloured, err := Of("https://solar.example.org/", true)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(coloured) {
		if !strings.HasPrefix(line, "\x1b[97;40m") || !strings.HasSuffix(line, "\x1b[0m\n") {
			t.Fatalf("%q", line)
		}
	}
	if strings.NewReplacer("\x1b[97;40m", "", "\x1b[0m", "").Replace(coloured) != plain {
		t.Error("another code with colours")
	}
}

func TestTooLongATextIsAnError(t *testing.T) {
	if _, err := Of(strings.Repeat("x", 5000), false); err == nil {
		t.Error("5,000 bytes were drawn")
	}
}
