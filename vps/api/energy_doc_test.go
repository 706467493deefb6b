package api

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"sunspool/wire"
)

// TestWorkedExamples of docs/energy.md: the server returns for the samples of each what its second table says.
func TestWorkedExamples(t *testing.T) {
	page, err := os.ReadFile("../../docs/energy.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := strings.Split(string(page), "\n## Example ")[1:]
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		title, text, _ := strings.Cut(example, "\n")
		t.Run(title, func(t *testing.T) {
			tables := tablesOf(text)
			if len(tables) != 2 || len(tables[0]) < 3 || len(tables[1]) < 3 {
				t.Fatalf("want a table of samples and one of answers, found %d", len(tables))
			}
			b := zoned(t, "UTC", clock("23:00"))
			b.put("inv-1", exampleSamples(t, tables[0]))

			names, rows := tables[1][0], tables[1][1:]
			last := len(rows) - 1
			a := answered[energyTest](b, fmt.Sprintf("/v1/energy?device_id=inv-1&resolution=hour&from=2026-06-08T%s:00Z&to=2026-06-08T%s:00Z",
				rows[0][0], clock(rows[last-1][0]).Add(time.Hour).Format("15:04")))
			if len(a.From) != last {
				t.Fatalf("%d hours, want %d", len(a.From), last)
			}
			for i, row := range rows {
				for c, name := range names[1:] {
					got := a.Totals[name]
					if i < last {
						got = a.Columns[name][i]
					}
					if shown := shown(float64(got)); shown != row[1+c] {
						t.Errorf("%s of %s is %s, the page says %q", name, row[0], shown, row[1+c])
					}
				}
			}
		})
	}
}

// clock is that time of the day of the examples.
func clock(at string) time.Time {
	day, _ := time.Parse("2006-01-02 15:04", "2026-06-08 "+at)
	return day
}

// shown is a number as the page writes it: to 3 digits, and nothing for one that is unknown.
func shown(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return fmt.Sprint(math.Round(1000*v) / 1000)
}

// tablesOf returns the cells of the tables in a page.
func tablesOf(page string) (tables [][][]string) {
	inside := false
	for line := range strings.Lines(page) {
		line, isRow := strings.CutPrefix(strings.TrimSpace(line), "|")
		switch {
		case isRow && !inside:
			tables = append(tables, nil)
		case strings.HasPrefix(line, "---"):
			continue
		}
		if inside = isRow; !isRow {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(line, "|"), "|") {
			row = append(row, strings.TrimSpace(cell))
		}
		tables[len(tables)-1] = append(tables[len(tables)-1], row)
	}
	return tables
}

// exampleSamples reads a table of samples, in which an empty cell is null and a column without a name is a remark.
func exampleSamples(t *testing.T, table [][]string) (samples []wire.Sample) {
	t.Helper()
	for _, row := range table[1:] {
		fields := map[string]any{"device_id": "inv-1", "ts": clock(row[0]), "sample_count": 1}
		for c, name := range table[0][1:] {
			if name != "" && row[1+c] != "" {
				fields[name] = json.Number(row[1+c])
			}
		}
		var s wire.Sample
		if text, err := json.Marshal(fields); err != nil {
			t.Fatal(err)
		} else if err := json.Unmarshal(text, &s); err != nil {
			t.Fatal(err)
		}
		samples = append(samples, s)
	}
	return samples
}
