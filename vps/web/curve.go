package web

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Curve is the mean powers of a day. Times are unix seconds; nil is a gap.
type Curve struct {
	Zone     *time.Location
	From, To int64
	Times    []int64
	PV, Load []*float64
}

const (
	curveWidth, curveHeight = 480, 220 // small, so that its text is readable on a phone, too
	curveLeft, curveBottom  = 68, 26
)

// draw writes the curve as a picture: PV as an area, the load as a line, and nothing where nothing is known.
func (c *Curve) draw(p *printer, w map[string]string) {
	if c.Zone == nil || c.To <= c.From {
		return
	}
	most := 0.0
	for i := range c.Times {
		for _, v := range []*float64{at(c.PV, i), at(c.Load, i)} {
			if v != nil {
				most = max(most, *v)
			}
		}
	}
	step := roundStep(most)
	top := math.Max(step, math.Ceil(most/step)*step)
	x := func(t int64) float64 {
		return curveLeft + float64(t-c.From)/float64(c.To-c.From)*(curveWidth-curveLeft-8)
	}
	y := func(v float64) float64 { return 8 + (1-max(v, 0)/top)*(curveHeight-curveBottom-8) }

	p.print("<svg viewBox=\"0 0 ", strconv.Itoa(curveWidth), " ", strconv.Itoa(curveHeight), "\" role=\"img\" aria-label=\"", text(w["curve"]),
		"\" font-size=\"16\" fill=\"none\">\n<title>", text(w["curve"]), "</title>\n")
	for v := 0.0; v <= top+step/2; v += step {
		p.print(fmt.Sprintf("<path d=\"M%d %.1fH%d\" stroke=\"#98A4B3\" stroke-opacity=\"0.4\"/><text x=\"0\" y=\"%.1f\" fill=\"currentColor\">%s</text>\n",
			curveLeft, y(v), curveWidth-8, y(v)+5, strconv.FormatFloat(v/1000, 'f', -1, 64)+" kW"))
	}
	start := time.Unix(c.From, 0).In(c.Zone)
	for hour := 0; hour <= 24; hour += 6 {
		t := time.Date(start.Year(), start.Month(), start.Day(), hour, 0, 0, 0, c.Zone).Unix()
		p.print(fmt.Sprintf("<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"currentColor\">%02d:00</text>\n",
			min(x(t), curveWidth-24), curveHeight-6, hour))
	}
	c.runs(c.PV, func(from, to int) {
		p.print(fmt.Sprintf("<path d=\"M%.1f %.1f", x(c.Times[from]), y(0)))
		for i := from; i < to; i++ {
			p.print(fmt.Sprintf("L%.1f %.1f", x(c.Times[i]), y(*c.PV[i])))
		}
		p.print(fmt.Sprintf("L%.1f %.1fZ\" fill=\"#EBB020\" fill-opacity=\"0.7\" stroke=\"#8A5A00\"/>\n", x(c.Times[to-1]), y(0)))
	})
	c.runs(c.Load, func(from, to int) {
		for i := from; i < to; i++ {
			p.print(fmt.Sprintf("%s%.1f %.1f", map[bool]string{true: "<path d=\"M", false: "L"}[i == from], x(c.Times[i]), y(*c.Load[i])))
		}
		p.print("\" stroke=\"currentColor\" stroke-width=\"2\"/>\n")
	})
	p.print("</svg>\n<p class=\"key\"><b>■</b> ", text(w["solar"]), " &nbsp; <i>━</i> ", text(w["home"]), "</p>\n")
}

// runs calls f for each part of a column that is known.
func (c *Curve) runs(column []*float64, f func(from, to int)) {
	from := -1
	for i := range c.Times {
		known := at(column, i) != nil
		if known && from < 0 {
			from = i
		}
		if !known && from >= 0 {
			f(from, i)
			from = -1
		}
	}
	if from >= 0 {
		f(from, len(c.Times))
	}
}

func at(column []*float64, i int) *float64 {
	if i < len(column) {
		return column[i]
	}
	return nil
}

// roundStep returns how far the lines of the scale are apart, W: a few of them reach most.
func roundStep(most float64) float64 {
	step := 250.0
	for most/step > 5 {
		if step *= 2; most/step > 5 {
			step *= 2.5
		}
	}
	return step
}
