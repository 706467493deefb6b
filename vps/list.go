package vps

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// list is how a command prints what the server has of one kind.
type list[T any] struct {
	none string   // the line without any
	head []string // of the columns
	row  func(T) []string
}

// print prints all as a table, or as a JSON object a line.
func (l list[T]) print(out io.Writer, all []T, asJSON bool) error {
	if asJSON {
		lines := json.NewEncoder(out)
		for _, x := range all {
			if err := lines.Encode(x); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(out, l.none)
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(l.head, "\t"))
	for _, x := range all {
		fmt.Fprintln(w, strings.Join(l.row(x), "\t"))
	}
	return w.Flush()
}
