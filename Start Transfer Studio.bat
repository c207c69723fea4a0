@echo off
rem Double-click this file on Windows to start Transfer Studio.
pushd "%~dp0"
if not exist start.py (
  echo Put this file beside start.py, then open it again.
  pause
  exit /b 1
)
set "CHECK=import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
for %%P in ("py -3.13" "py -3.12" "py -3.11" "py -3.10" "python" "python3") do (
  %%~P -c "%CHECK%" >nul 2>nul && (
    %%~P start.py %*
    if errorlevel 1 pause
    exit /b
  )
)
echo Transfer Studio needs Python 3.10 to 3.13. Install Python 3.13 from python.org, then open this file again.
pause
exit /b 1
