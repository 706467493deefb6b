package vps

import "sunspool/internal/vpstest"

const (
	token1  = vpstest.Token1
	viewer1 = vpstest.Viewer1
)

var (
	testNow     = vpstest.Now
	fields      = vpstest.Fields
	with        = vpstest.With
	bodyOf      = vpstest.BodyOf
	sample      = vpstest.Sample
	manyValues  = vpstest.ManyValues
	pythonBatch = vpstest.PythonBatch
	do          = vpstest.Do
	follow      = vpstest.Follow
	of          = vpstest.Of
	issue       = vpstest.Issue
	routesOf    = vpstest.Routes
)

type (
	logBuffer = vpstest.LogBuffer
	event     = vpstest.Event
	opening   = vpstest.Route
)
